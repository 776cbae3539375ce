"""The README's first command on this repository's own lab: every cell of the quickstart shows what it must."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from bundled import bundled_lab
from labs import Seen
from places import ROOT, Place

pytestmark = [pytest.mark.quickstart, pytest.mark.timeout(3600)]

# Bits per byte of English text when only the frequencies of its bytes are known.
UNIGRAM = 4.2


class Shown:
    """What one cell shows."""

    def __init__(self, cell: Any) -> None:
        self.id = cell.id
        self.outputs = cell.outputs
        self.data = [output["data"] for output in cell.outputs if "data" in output]

    @property
    def text(self) -> str:
        """Its text, as a terminal has it."""
        streams = "".join(output["text"] for output in self.outputs if output["output_type"] == "stream")
        return streams + "\n".join(bundle.get("text/plain", "") for bundle in self.data)

    def form(self, mime: str) -> Any:
        """Its one form of a MIME type."""
        found = [bundle[mime] for bundle in self.data if mime in bundle]
        assert len(found) == 1, f"cell {self.id}: {len(found)} of {mime}, in {[sorted(b) for b in self.data]}"
        return found[0]

    def rows(self) -> int:
        """Rows of its one table, without the heading."""
        html = self.form("text/html")
        assert "<table" in html
        return len(re.findall(r"<tr\b", html.split("<tbody", 1)[1]))


def test_the_quickstart_as_a_newcomer_runs_it(place: Place) -> None:
    lab = bundled_lab(place)
    before = Seen(lab, files=False)
    done = lab.overnight("lab", "--execute", timeout=3500)
    print(done.text)
    executed = re.search(r"executed\s+(\S+\.ipynb)", done.text)
    assert executed, done
    book = nbformat.read(Path(executed[1]), as_version=4)
    nbformat.validate(book)
    shown = {cell.id: Shown(cell) for cell in book.cells if cell.cell_type == "code"}
    for cell in shown.values():
        assert not [o for o in cell.outputs if o["output_type"] == "error"], f"{cell.id}: {cell.text}"
        assert cell.text.strip(), f"cell {cell.id} shows nothing in plain text"

    found = lab.is_sound(9)
    assert found[0]["status"] == "keep"
    assert found[0]["value"] < UNIGRAM - 0.5, "it learned to predict more than frequencies"
    for each in found[1:]:
        assert lab.git("diff", "--name-only", each["parent"], each["candidate"]).split() == ["train/src/main.rs"]
    assert Seen(lab, files=False) == before
    check_cells(shown, found)
    check_repeatable(lab)


def check_repeatable(lab: Lab) -> None:
    """On the processor the same steps are the same to the last digit, and another seed is another run."""
    lab.place.command(["cargo", "build", "--release", "-p", "train"], lab.root, timeout=1800)

    def losses(seed: int) -> list[tuple[str, str]]:
        settings = {"OVERNIGHT_STEPS": "4", "OVERNIGHT_SEED": str(seed), "RAYON_NUM_THREADS": "2"}
        printed = lab.place.command(["target/release/train"], lab.root, env=settings).out
        return re.findall(r"loss: ([\d.]+) |^val_bpb: +([\d.]+)", printed, re.MULTILINE)

    first = losses(42)
    assert len(first) == 5
    assert first == losses(42) != losses(43)


def test_the_patch_for_a_gpu_applies(place: Place) -> None:
    """It gives the file karpathy's sizes, and the program what a GPU needs."""
    lab = place.path / "gpu"
    for name in ("program.md", "train/src/main.rs"):
        (lab / name).parent.mkdir(parents=True, exist_ok=True)
        (lab / name).write_bytes((ROOT / name).read_bytes())
    place.command(["git", "init", "--quiet"], lab)
    place.command(["git", "apply", str(ROOT / "train/gpu.patch")], lab)
    assert "const WIDTH: usize = 512;" in (lab / "train/src/main.rs").read_text()
    assert "--features cuda" in (lab / "program.md").read_text()


def check_cells(shown: dict[str, Shown], found: list[dict[str, Any]]) -> None:
    """Each cell, one by one."""
    assert "started" in shown["start"].text and "8 experiments" in shown["start"].text

    live = shown["wait"]
    assert len(live.data) == 1, "the live view is one output, updated in place"
    assert "val_bpb" in live.text and "Ended" in live.text and "<" in live.form("text/html")

    assert shown["experiments"].rows() == 8
    for each in found[:8]:
        assert each["status"] in shown["experiments"].text

    chart = shown["progress"]
    specification = chart.form("application/vnd.vegalite.v5+json")
    assert "vega-lite/v5" in specification["$schema"]
    picture = base64.b64decode(chart.form("image/png"))
    assert picture.startswith(b"\x89PNG") and len(picture) > 5_000

    kept = [e for e in found[:8] if e["status"] == "keep"]
    assert ("const " in shown["diff"].text) == (len(kept) > 1), shown["diff"].text
    assert "val_bpb" in shown["experiment"].text
    assert "step" in shown["metrics"].text and "loss" in shown["metrics"].text
    assert re.search(r"step\s*\d+", shown["log"].text) and "val_bpb:" in shown["log"].text

    assert shown["sql-experiments"].rows() == 8
    assert all(column in shown["sql-experiments"].text for column in ("number", "status", "val_bpb", "hypothesis"))
    finished = [e for e in found[:8] if e["value"] is not None]
    assert shown["sql-metrics"].rows() >= len(finished)
    assert "lowest_loss" in shown["sql-metrics"].text

    assert "bolder" in shown["run"].text and found[8]["author"] == "Ada Lovelace"
    assert found[8]["proposer"] == "human"
    assert shown["top"].rows() == 3
    assert shown["rust"].rows() == len({each["status"] for each in found})
    assert shown["rust-plot"].form("image/png") and "How the best one learned" in shown["rust-plot"].text
