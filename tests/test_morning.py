"""The morning: what has happened since somebody last looked, in a terminal and in a notebook."""

from __future__ import annotations

import json

from kernels import kernel
from labs import Lab

BROKEN = """\
import sys
sys.exit("no such optimizer: 17")
"""


def test_it_tells_what_is_new_once(lab: Lab) -> None:
    lab.night("--experiments", "6", "--seed", "12")
    lab.write("train.py", BROKEN)
    lab.overnight("run", "-m", "my own", code=None)
    lab.git("checkout", "--", "train.py")
    lab.overnight("hypothesis", "try a warm restart")
    found = lab.experiments()
    best = min((e for e in found if e["status"] == "keep"), key=lambda e: e["value"])

    first = lab.overnight("morning").out
    assert f"{len(found)} experiments ran" in first and "1 crashed" in first
    assert f"to {best['value']:.4f}" in first and f"unproven, by experiment {best['number']}" in first.replace("\n", " ")
    assert "The loop ended: it has done its 6 experiments; its report is" in first.replace("\n", " ")
    assert "1 crash (6)" in first and "1 idea waits" in first and "no such optimizer" not in first.split("What failed")[0]
    gains = sorted((e for e in found if e["status"] == "keep" and e["delta"]), key=lambda e: e["delta"])[:3]
    shown = [line.split()[1].rstrip(",") for line in first.splitlines() if line.startswith("Experiment ")]
    assert shown == [str(e["number"]) for e in gains] and "+++ b/train.py" in first

    again = lab.overnight("morning").out
    assert "No experiment was finished" in again and f"still {best['value']:.4f}" in again
    mark = json.loads((lab.state / "looked.json").read_text())
    assert mark["tag"] == "main" and mark["tip"] == lab.git("rev-parse", "refs/overnight/ledger/main").strip()

    lab.night("--experiments", "2", "--seed", "9")
    assert lab.json("morning")["experiments"] == 2
    assert f"{len(found) + 2} experiments ran" in lab.overnight("morning", "--since", "8").out
    assert "No experiment was finished" in lab.overnight("morning", "--since", "2999-01-01").out
    assert "expected hours" in lab.overnight("morning", "--since", "soon", code=2).err


def test_a_morning_without_a_night(lab: Lab) -> None:
    text = lab.overnight("morning").out
    assert "No experiment was finished" in text and "No loop runs." in text and "Next" not in text
    assert not (lab.state / "looked.json").exists(), "nothing was there to be seen"


def test_a_notebook_has_the_next_cell_filled_in(lab: Lab) -> None:
    lab.night("--experiments", "6", "--seed", "12")
    with kernel(lab) as k:
        cell = k.execute("%morning")
        assert cell.status == "ok", cell.text
        html = cell.data[-1]["text/html"]
        assert "unproven" in html and "+++ b/train.py" in html
        payload = cell.reply["content"]["payload"][0]
        assert payload["source"] == "set_next_input"
        lines = payload["text"].splitlines()
        assert lines[0].startswith("%experiment ") and lines[1].startswith("%diff ")
        assert lines[2:] == ["%plot progress", "%report"]
        after = k.execute(payload["text"])
        assert after.status == "ok", after.text
        assert "The report is in" in after.text
