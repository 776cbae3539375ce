"""JupyterLab in a real browser: the quickstart's cells on a tiny lab, and what the page then shows.

Pictures are left in `tests/screenshots/` for people to look at.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from browsers import CHROMIUM, Notebook, jupyterlab, notebook
from kernels import book
from labs import Lab
from places import ROOT, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (Debian: apt install chromium)"),
]


def quickstart_for(lab: Lab) -> dict[str, int]:
    """Writes the quickstart for a tiny lab, and says where each of its cells is."""
    book = nbformat.read(ROOT / "notebooks/quickstart.ipynb", as_version=4)
    for cell in book.cells:
        cell.source = cell.source.replace("--budget 20s", "--budget 2s --seed 4")
        if cell.id == "run":
            cell.source = '%run --hypothesis "a warmer start" --set LR=0.012'
    book.cells = [cell for cell in book.cells if cell.id != "rust"]
    nbformat.write(book, lab.root / "quickstart.ipynb")
    return {cell.id: index for index, cell in enumerate(book.cells)}


def test_the_quickstart_in_jupyterlab(lab: Lab) -> None:
    lab.hold()
    at = quickstart_for(lab)
    with jupyterlab(lab) as address, notebook(address, "quickstart.ipynb", height=1100) as page:
        page.run_all()
        lab.has_started(0)
        lab.go(0, 1, 2)
        lab.has_started(3)

        # The live view, while experiment 3 runs.
        live = page.output(at["wait"])
        live.first.wait_for()
        until(lambda: live.count() == 1 and "3" in live.inner_text() and "loss" in live.inner_text(), "it is live",
              pause=0.2)
        assert "the live view goes on in [2]" in page.cell(at["start"]).inner_text(), "there is one of it"
        page.show(at["start-text"])
        page.page.wait_for_timeout(500)
        page.shot("live")
        middle = live.inner_text()

        lab.go()
        page.output(at["top"]).first.wait_for(timeout=120_000)
        assert live.count() == 1, "the live view is one output, updated in place"
        assert live.inner_text() != middle and "Ended" in live.inner_text()

        check_tables(page, at)
        check_chart(page, at)
        for name in ("wait", "experiments", "progress", "diff", "experiment", "metrics", "log",
                     "sql-experiments", "run"):
            page.show(at[name])
            page.page.wait_for_timeout(300)
            page.shot(name)
        assert page.errors().all_inner_texts() == []
    lab.is_sound(9)


def check_tables(page: Notebook, at: dict[str, int]) -> None:
    """The tables are tables, with a row for each experiment."""
    table = page.cell(at["experiments"]).locator("table").first
    assert table.locator("tbody tr").count() == 8
    assert "val_bpb" in table.inner_text()
    assert page.cell(at["sql-experiments"]).locator("table tbody tr").count() == 8
    assert page.cell(at["top"]).locator("table tbody tr").count() == 3
    assert "warmer" in page.cell(at["top"]).inner_text() or "warmer" in page.cell(at["run"]).inner_text()


def check_chart(page: Notebook, at: dict[str, int]) -> None:
    """The chart is drawn by Vega, large enough to be read."""
    chart = page.cell(at["progress"]).locator(".vega-embed canvas, .vega-embed svg.marks").first
    chart.wait_for()
    box = chart.bounding_box()
    assert box and box["width"] > 400 and box["height"] > 200, box


def test_a_reload_finds_the_loop_again(lab: Lab) -> None:
    """A page that is closed and opened again loses its outputs, and `%loop watch` shows the loop as it is."""
    lab.hold()
    nbformat.write(book("%loop start --experiments 6", "%loop watch"), Path(lab.root) / "watch.ipynb")
    with jupyterlab(lab) as address:
        with notebook(address, "watch.ipynb") as page:
            page.run_all()
            page.output(1).first.wait_for()
            lab.has_started(0)
        lab.go(0, 1)
        lab.has_started(2)
        with notebook(address, "watch.ipynb") as page:
            page.run_all()
            live = page.output(1)
            live.first.wait_for()
            until(lambda: "2" in live.first.inner_text(), "the view is of the present", pause=0.2)
            before = live.first.inner_text()
            lab.go()
            until(lambda: live.first.inner_text() != before, "the view goes on", pause=0.2)
    lab.overnight("loop", "wait")
    lab.is_sound(6)
