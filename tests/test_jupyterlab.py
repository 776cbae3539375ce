"""JupyterLab as people use it: typing, Tab, Shift-Tab, the buttons, errors, reloads, two notebooks.

Pictures are left in `tests/screenshots/` for people to look at.
"""

from __future__ import annotations

from collections.abc import Iterator

import nbformat
import pytest

from browsers import CHROMIUM, Notebook, jupyterlab, notebook
from kernels import book
from labs import Lab
from places import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (Debian: apt install chromium)"),
]


def write(lab: Lab, name: str, *cells: str) -> str:
    """Writes a notebook into the lab."""
    nbformat.write(book(*cells), lab.root / name)
    return name


@pytest.fixture
def address(lab: Lab) -> Iterator[str]:
    """JupyterLab on the usual lab."""
    with jupyterlab(lab) as address:
        yield address


def edit(page: Notebook, index: int, text: str) -> None:
    """Types into a cell, as a person does."""
    page.cell(index).locator(".cm-content").click()
    page.page.keyboard.type(text)


def test_typing_tab_and_shift_tab(lab: Lab, address: str) -> None:
    with notebook(address, write(lab, "typing.ipynb", "", "")) as page:
        page.ready()
        edit(page, 0, "%loop sta")
        page.page.keyboard.press("Tab")
        menu = page.page.locator(".jp-Completer")
        menu.wait_for()
        assert "start" in menu.locator(".jp-Completer-item").first.inner_text()
        page.page.wait_for_timeout(300)
        page.shot("tab")
        page.page.keyboard.press("Enter")
        until(lambda: "%loop start" in page.cell(0).locator(".cm-content").inner_text(), "the completion is taken")
        page.page.keyboard.press("Shift+Tab")
        tip = page.page.locator(".jp-Tooltip")
        tip.wait_for()
        assert "--experiments" in tip.inner_text()
        page.shot("shift-tab")
        page.page.keyboard.press("Escape")

        edit(page, 1, "%experiments?")
        page.page.keyboard.press("Shift+Enter")
        page.output(1).first.wait_for()
        assert "Usage" in page.output(1).first.inner_text()
        page.shot("question-mark")


def test_the_stop_button_and_the_restart_button(lab: Lab, address: str) -> None:
    cells = ("!echo begun; sleep 1000", "%env GREETING=hello", '!echo "[$GREETING]"')
    with notebook(address, write(lab, "buttons.ipynb", *cells)) as page:
        page.ready()
        page.run(0)
        page.output(0).first.wait_for()
        page.button("Interrupt the kernel").click()
        until(lambda: "nterrupted" in page.cell(0).inner_text(), "the cell ends")
        page.shot("interrupted")
        page.run(1)
        page.run(2)
        until(lambda: "[hello]" in page.cell(2).inner_text(), "the kernel goes on")
        page.button("Restart the kernel").click()
        page.page.locator(".jp-Dialog .jp-mod-accept").click()
        page.ready()
        page.run(2)
        until(lambda: "[]" in page.cell(2).inner_text(), "the kernel is a new one")
    assert lab.status()["state"] == "idle"


def test_run_all_stops_at_an_error_in_the_middle(lab: Lab, address: str) -> None:
    cells = ("!echo first", "%experimets", "!echo never")
    with notebook(address, write(lab, "error.ipynb", *cells)) as page:
        page.run_all()
        error = page.errors().first
        error.wait_for()
        assert "experiments" in error.inner_text(), "the nearest is named"
        until(lambda: "| Idle" in page.status(), "the kernel is idle")
        assert "first" in page.output(0).first.inner_text()
        assert page.output(2).count() == 0
        page.shot("error")


def test_a_reload_during_a_live_view(lab: Lab, address: str) -> None:
    lab.hold()
    with notebook(address, write(lab, "live.ipynb", "%loop start --experiments 4 --seed 1", "%loop wait", "%best")) as page:
        page.run_all()
        page.output(1).first.wait_for()
        lab.has_started(0)
        page.page.keyboard.press("Control+s")
        page.page.reload(wait_until="domcontentloaded")
        page.page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        until(lambda: "Overnight (Rust)" in page.status(), "the page finds its kernel again")
        lab.go()
        page.ready()
        page.run(2)
        until(lambda: "val_bpb" in page.cell(2).inner_text(), "the kernel lives")
        page.shot("reloaded")
    lab.overnight("loop", "wait")
    lab.is_sound(4)


def test_two_notebooks_on_one_lab(lab: Lab, address: str) -> None:
    lab.hold()
    one = write(lab, "one.ipynb", "%loop start --experiments 3 --seed 1", "%loop watch")
    two = write(lab, "two.ipynb", "%loop start --experiments 3 --seed 1", "%loop wait", "%experiments")
    with notebook(address, one) as first:
        first.run_all()
        first.output(1).first.wait_for()
        lab.has_started(0)
        with first.beside(two) as second:
            second.run_all()
            second.output(0).first.wait_for()
            assert "already" in second.output(0).first.inner_text()
            second.output(1).first.wait_for()
            lab.go()
            second.cell(2).locator("table").wait_for()
            assert second.cell(2).locator("tbody tr").count() == 3
            second.shot("two-notebooks")
        until(lambda: "done its 3" in first.output(1).first.inner_text(), "the first one's view goes on")
    lab.is_sound(3)


def test_notebook_7(lab: Lab) -> None:
    path = write(lab, "seven.ipynb", "%loop start --experiments 3 --seed 1", "%loop wait", "%plot progress")
    with jupyterlab(lab, "notebook") as address, notebook(address, path, app="notebook") as page:
        page.page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()
        # One after the other: a page that grows moves the next cell from under the mouse.
        page.run(0)
        until(lambda: "has started" in page.cell(0).inner_text(), "the loop starts")
        page.run(1)
        until(lambda: "done its 3" in page.cell(1).inner_text(), "the loop ends")
        page.run(2)
        page.cell(2).locator(".vega-embed canvas, .vega-embed svg.marks").first.wait_for()
        assert page.errors().count() == 0
        page.shot("notebook-7")
    lab.is_sound(3)
