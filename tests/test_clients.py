"""Clients that people use, as they are: nbconvert, papermill, jupyter-console."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import pexpect
import pytest
from playwright.sync_api import sync_playwright

from browsers import CHROMIUM, CONTRASTS, FLAGS, PICTURES
from kernels import book
from labs import Lab
from places import PATIENCE



@pytest.fixture
def env(lab: Lab) -> dict[str, str]:
    """An environment in which Jupyter finds the kernel."""
    prefix = lab.place.path / "prefix"
    lab.overnight("install", "--prefix", str(prefix))
    return lab.place.env | {"JUPYTER_PATH": str(prefix / "share/jupyter")}


def notebook(lab: Lab, *cells: str) -> Path:
    """A notebook in the lab; the first cell is tagged as papermill's parameters."""
    night = book(*cells)
    night.cells[0].metadata["tags"] = ["parameters"]
    path = lab.root / "night.ipynb"
    nbformat.write(night, path)
    return path


def text(cell: nbformat.NotebookNode) -> str:
    """What a cell shows, in plain text."""
    return "\n".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.outputs)


def test_nbconvert_executes_and_renders(lab: Lab, env: dict[str, str]) -> None:
    notebook(lab, "%loop start --experiments 2 --seed 1", "%loop wait", "%experiments", "%plot progress")
    lab.place.command([sys.executable, "-m", "nbconvert", "--execute", "--to", "html", "night.ipynb"], lab.root, env=env)
    page = (lab.root / "night.html").read_text()
    assert "<table" in page and "data:image/png;base64," in page and "it has done its 2 experiments" in page
    lab.is_sound(2)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (Debian: apt install chromium)")
def test_a_page_of_nbconvert_can_be_read_in_both_themes(lab: Lab, env: dict[str, str]) -> None:
    """Charts are their pictures there, tables and the live view what they are in JupyterLab."""
    source = notebook(lab, "%loop start --experiments 6 --seed 1", "%loop wait", "%experiments", "%experiment best",
                      "%diff 0 best", "%plot progress", "%plot parameters", "%morning")
    convert = [sys.executable, "-m", "nbconvert", source.name]
    lab.place.command([*convert, "--execute", "--inplace"], lab.root, env=env)
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for theme in ("light", "dark"):
            lab.place.command([*convert, "--to", "html", "--theme", theme, "--output", theme], lab.root, env=env)
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.route("http*://**", lambda route: route.abort())
            page.goto((lab.root / f"{theme}.html").as_uri())
            assert page.locator("img").evaluate_all("all => all.length > 2 && all.every(one => one.naturalWidth > 100)")
            outputs = page.locator(".jp-Cell-outputArea")
            assert outputs.count() == 8
            for index in range(8):
                # Code in colours on a tinted ground is near 3.4 to 1, as in JupyterLab.
                assert outputs.nth(index).evaluate(CONTRASTS, 3.4) == [], f"output {index} in the {theme} theme"
            page.screenshot(path=PICTURES / f"nbconvert-{theme}.png", full_page=True)
        browser.close()


def test_nbconvert_stops_at_an_error_and_says_which(lab: Lab, env: dict[str, str]) -> None:
    notebook(lab, "%experiments", "%log 99", "%best")
    done = lab.place.command([sys.executable, "-m", "nbconvert", "--execute", "--to", "notebook", "night.ipynb"],
                             lab.root, code=1, env=env)
    assert "%log 99" in done.err and "99" in done.err


def test_papermill_passes_parameters(lab: Lab, env: dict[str, str]) -> None:
    source = notebook(lab, "%env experiments=1", "%loop start --experiments $experiments --seed 1", "%loop wait",
                      "%env title", "experiments + 40")
    given = ["-p", "experiments", "2", "-p", "title", "it's \"late\" 🌙", "-p", "rate", "1e-3", "-p", "fast", "True"]
    lab.place.command([sys.executable, "-m", "papermill", str(source), "out.ipynb", *given, "--cwd", str(lab.root)],
                      lab.place.path, env=env)
    book = nbformat.read(lab.place.path / "out.ipynb", as_version=4)
    injected = next(c for c in book.cells if "injected-parameters" in c.metadata.tags)
    assert 'let title = String::from("it\'s \\"late\\" 🌙");' in injected.source
    assert "let rate = 0.001_f64;" in injected.source and "let fast = true;" in injected.source
    assert text(book.cells[-2]).strip() == "it's \"late\" 🌙"
    assert text(book.cells[-1]).strip() == "42"
    lab.is_sound(2)


def test_papermill_lists_the_parameters_of_a_notebook(lab: Lab, env: dict[str, str]) -> None:
    source = notebook(lab, "%env experiments=8 // how many\n%env tag=main", "%experiments")
    told = lab.place.command([sys.executable, "-m", "papermill", "--help-notebook", str(source)], lab.root, env=env)
    assert "experiments" in told.out and "how many" in told.out and "tag" in told.out


def test_the_console_under_a_terminal(lab: Lab, env: dict[str, str]) -> None:
    console = pexpect.spawn(
        sys.executable, ["-m", "jupyter", "console", "--kernel", "overnight", "--simple-prompt"], cwd=str(lab.root),
        env=env | {"TERM": "dumb"}, encoding="utf-8", timeout=PATIENCE, dimensions=(40, 120))
    try:
        console.expect_exact("In [1]: ")
        console.sendline("%experiments")
        console.expect_exact("No experiments yet")
        console.expect_exact("In [2]: ")
        console.sendline("!echo asleep | tr a-z A-Z; sleep 1000")
        console.expect("ASLEEP")
        console.sendintr()
        console.expect("Interrupt")
        console.sendline("%cd")
        console.expect_exact(str(lab.root))
        console.sendline("%loop strt")
        console.expect_exact("start")
        console.sendeof()
        console.expect([r"exit \(\[y\]/n\)\?", pexpect.EOF])
        if console.isalive():
            console.sendline("y")
            console.expect(pexpect.EOF)
    finally:
        console.close(force=True)
