"""The notebook that looks at a night with Rust, SQL and charts."""

from __future__ import annotations

import shutil
import sys

import nbformat

from labs import Lab
from places import ROOT


def test_the_analysis_of_a_night(lab: Lab) -> None:
    lab.night("--experiments", "6", "--seed", "1")
    prefix = lab.place.path / "prefix"
    lab.overnight("install", "--prefix", str(prefix))
    shutil.copy(ROOT / "notebooks/analysis.ipynb", lab.root)
    lab.place.command([sys.executable, "-m", "nbconvert", "--execute", "--to", "notebook", "--output", "done.ipynb",
                       "--ExecutePreprocessor.timeout=600", "analysis.ipynb"], lab.root,
                      env={"JUPYTER_PATH": str(prefix / "share/jupyter")}, timeout=900)
    book = nbformat.read(lab.root / "done.ipynb", as_version=4)
    shown = {cell.id: [output["data"] for output in cell.outputs if "data" in output]
             for cell in book.cells if cell.cell_type == "code"}
    for cell in ("load", "count", "gains"):
        assert "<table" in shown[cell][-1]["text/html"], cell
    assert "6 rows" in shown["load"][-1]["text/plain"]
    assert "of 6** experiments were kept" in shown["share"][-1]["text/markdown"]
    for cell in ("progress", "running-best", "curves", "time"):
        assert {"application/vnd.vegalite.v5+json", "image/png"} <= set(shown[cell][-1]), cell
    assert "train.py" in shown["diff"][-1]["text/plain"] or shown["diff"][-1]["text/plain"] == "no difference"
