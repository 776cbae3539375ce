"""Tables, diffs and the live view in a real browser: whether people can read them, in the light and the dark theme.

Pictures are left in `target/acceptance/pictures/` for people to look at.
"""

from __future__ import annotations

import json
import re

import nbformat
import pytest

from browsers import CHROMIUM, jupyterlab, notebook
from kernels import book, kernel
from labs import TRAIN, Lab
from places import until

# What the WCAG asks of small text; colours of code on its tinted ground are near it in both themes.
READABLE = 4.5
CODE = 3.4


def night(lab: Lab) -> None:
    """A ledger with each kind of judgement that a loop gives."""
    agent = lab.proposer(
        f"""
        import json, sys
        number = json.load(sys.stdin)["number"]
        better = {TRAIN!r}.replace("LR = 0.04", f"LR = {{0.04 - 0.004 * number:.3f}}  # step {{number}}")
        worse = {TRAIN!r}.replace("WARMUP = 0.10", f"WARMUP = 0.0{{number}}")
        broken = {TRAIN!r} + f"\\nraise RuntimeError({{number}})\\n"
        open("train.py", "w").write([better, worse, broken][number % 3 - 1])
        print(json.dumps({{"hypothesis": f"idea {{number}}: a wider \\u05d0\\u05d1 model", "cost": {{"usd": 0.25, "input_tokens": 10, "output_tokens": 5}}}}))
        """
    )
    lab.night("--experiments", "7", "--agent", agent)
    lab.is_sound(7)


def test_the_table_is_filtered_sorted_and_paged(lab: Lab) -> None:
    night(lab)
    full = lab.overnight("experiments").out
    head = next(line for line in full.splitlines() if "hypothesis" in line)
    assert re.search(r"Δ parent +Δ base", head) and "memory" not in head, "a terminal has room for so much"
    with kernel(lab) as it:
        html = it.execute("%experiments").data[0]["text/html"]
    assert all(f">{name}</th>" in html for name in ("memory", "cost", "loss")) and "45.1 GB" in html and "▁" in html
    assert "K keep" in full and "C crash" in full
    top = lab.overnight("experiments", "--top", "3").out
    numbers = [int(line.split()[0].strip("★") or line.split()[1]) for line in top.splitlines() if re.search(r"[KDCI] (keep|disc|crash)", line)]
    assert len(numbers) == 3 and "C crash" not in top
    values = {e["number"]: e["value"] for e in lab.experiments()}
    assert [values[n] for n in numbers] == sorted(v for v in values.values() if v)[:3]
    assert lab.overnight("experiments", "--status", "keep,crash").out.count("discard") == 0
    assert "idea 5" in lab.overnight("experiments", "--text", "IDEA 5").out
    assert "No experiment matches" in lab.overnight("experiments", "--proposer", "claude").out
    page = lab.overnight("experiments", "--rows", "2", "--page", "2").out
    assert "rows 3 to 4 of 7 experiments" in page and "idea 2" in page and "idea 4" not in page
    reverse = lab.overnight("experiments", "--reverse", "--rows", "2").out
    assert "idea 6" in reverse and "idea 5" in reverse and "the first 2 of 7" in reverse
    assert lab.json("experiments", "--sort", "cost", "--top", "2")["experiments"]


def test_one_experiment_beside_its_parent(lab: Lab) -> None:
    night(lab)
    lab.write("uv.lock", "version = 1\n")
    page = lab.overnight("experiment", "2").out
    assert "parent 1" in page and "experiment 2" in page, page
    assert re.search(r"memory +45\.1 GB at most", page)


def test_an_invalid_experiment_is_never_among_the_best(lab: Lab) -> None:
    night(lab)
    best = lab.json("experiments", "--top", "1")["experiments"][0]["number"]
    lab.overnight("discard", str(best), "-m", "it cheats")
    again = [e["number"] for e in lab.json("experiments", "--top", "3")["experiments"]]
    assert best not in again and len(again) == 3
    assert best in [e["number"] for e in lab.json("experiments", "--status", "discard", "--top", "3")["experiments"]]


def test_sides_in_a_notebook_and_lines_in_a_terminal(lab: Lab) -> None:
    night(lab)
    text = lab.overnight("diff", "0", "1").out
    assert "-LR = 0.04" in text and "+LR = 0.036" in text
    with kernel(lab) as it:
        shown = it.execute("%diff 0 1").data[0]
        assert "width:49.8%" in shown["text/html"] and shown["text/plain"].strip() == text.strip()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (Debian: apt install chromium)")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everything_can_be_read(lab: Lab, dark: bool) -> None:
    night(lab)
    lab.hold()
    cells = ("%loop start --experiments 3 --slots 2 --seed 1", "%experiments", "%experiment 1", "%diff 0 1", "%plan")
    nbformat.write(book(*cells), lab.root / "look.ipynb")
    theme = "dark" if dark else "light"
    with jupyterlab(lab, dark=dark) as address, notebook(address, "look.ipynb", height=1100, dark=dark) as page:
        page.run_all()
        page.cell(3).locator("span", has_text="0.036").first.wait_for()
        ground = page.page.locator("body").evaluate("body => getComputedStyle(body).getPropertyValue('--jp-layout-color0')")
        assert ("#fff" in ground or "white" in ground) != dark, ground
        until(lambda: "running" in page.output(0).last.inner_text(), "the live view is there")
        for index, name in enumerate(("live", "experiments", "experiment", "diff", "plan")):
            least = CODE if name in ("experiment", "diff") else READABLE
            page.picture(index, f"{name}-{theme}")
            assert page.illegible(index, least) == [], f"{name} in the {theme} theme"
        badges = page.cell(1).locator("tbody td:nth-child(2) span")
        assert badges.count() == 7
        sides = page.cell(3).locator("div[style*='49.8%']")
        boxes = [sides.nth(i).bounding_box() for i in range(2)]
        assert boxes[0] and boxes[1] and boxes[0]["y"] == boxes[1]["y"], "both sides stand beside each other"
        page.page.set_viewport_size({"width": 700, "height": 900})
        boxes = [sides.nth(i).bounding_box() for i in range(2)]
        assert boxes[0] and boxes[1] and boxes[0]["y"] < boxes[1]["y"], "where there is no room, below each other"
        assert page.cell(1).locator("bdi").count() > 0, "the sanitizer leaves what holds letters in their place"
        lab.go()
        until(lambda: "Ended" in page.output(0).last.inner_text(), "the live view goes on to the end")
    lab.overnight("loop", "wait")
    json.loads((lab.root / "look.ipynb").read_text())
