"""The report of a night: three forms that stand alone, checked figure by figure, and the one that the runner writes."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import sync_playwright

from browsers import CHROMIUM, FLAGS
from conftest import fill
from labs import Lab
from models import model
from places import Place, until

FORMS = ("night.html", "night.md", "night.ipynb")


@pytest.fixture
def night(lab: Lab) -> Lab:
    """A lab after a night with people in it."""
    lab.night("--experiments", "8", "--seed", "1")
    lab.overnight("note", "1", "see @ada in #12 | <b>or</b> not")
    lab.overnight("loop", "veto", "WIDTH")
    kept = next(e["number"] for e in lab.experiments() if e["status"] == "keep" and e["number"] > 0)
    lab.overnight("discard", str(kept), "-m", "too good for me")
    return lab


def check(lab: Lab, name: str, code: int = 0) -> dict[str, dict[str, str]]:
    """What a check says of each figure."""
    done = lab.overnight("--json", "report", "--check", name, code=code)
    return {each["id"]: each for each in json.loads(done.out)["figures"]}


def test_every_form_matches_now_and_later_and_an_edited_number_does_not(night: Lab) -> None:
    before = night.git("status", "--porcelain")
    best = min(e["value"] for e in night.experiments() if e["status"] == "keep")
    for name in FORMS:
        done = night.overnight("report", name)
        assert f"{best:.4f}" in done.out.splitlines()[0] and name in done.out
        found = check(night, name)
        assert {each["verdict"] for each in found.values()} == {"matched"}
        assert found["gain.best"]["said"] == f"{best:.4f}" and "picture" in found
    text = (night.root / "night.md").read_text()
    assert "too good for me" in text and "ruled out what matches `WIDTH`" in text
    assert "see @<!-- -->ada in #<!-- -->12 \\| \\<b\\>or" in text and len(text) < 65_536

    night.night("--experiments", "2", "--seed", "2")
    for name in FORMS:
        assert {each["verdict"] for each in check(night, name).values()} == {"matched"}, "a later experiment changes nothing"
        file = night.root / name
        whole = file.read_text()
        page = whole.index("<h1>") if name.endswith(".html") else 0
        at = whole.index(f"{best:.4f}", page)
        file.write_text(whole[:at] + f"{best - 0.01:.4f}" + whole[at + 6:])
        wrong = {key for key, each in check(night, name, code=1).items() if each["verdict"] == "differing"}
        assert "title.best" in wrong and "gain.best" not in wrong
        said = night.overnight("report", "--check", name, code=1)
        assert re.search(r"^differing\s+title\.best", said.out, re.M) and "figures of" in said.err
        # With the stamp edited too, the ledger tells.
        file.write_text(whole.replace(f"{best:.4f}", f"{best - 0.01:.4f}"))
        assert check(night, name, code=1)["gain.best"]["verdict"] == "differing"
        file.unlink()
    (night.root / "night.png").unlink()
    assert night.git("status", "--porcelain") == before


def test_the_picture_of_markdown_is_checked_or_left_out(night: Lab) -> None:
    night.overnight("report", "night.md")
    picture = night.root / "night.png"
    assert picture.read_bytes().startswith(b"\x89PNG") and "](night.png)" in (night.root / "night.md").read_text()
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert check(night, "night.md", code=1)["picture"]["verdict"] == "differing"
    night.overnight("report", "plain.md", "--no-picture")
    assert "](" not in (night.root / "plain.md").read_text() and "picture" not in check(night, "plain.md")
    assert not (night.root / "plain.png").exists()
    # Words of one's own are no figures.
    text = (night.root / "plain.md").read_text()
    (night.root / "plain.md").write_text("I would look at the third one first.\n\n" + text.replace("\n", "\r\n"))
    assert "words are not checked" in night.overnight("report", "--check", "plain.md").out


def test_what_cannot_be_written_or_checked_is_told(night: Lab, place: Place) -> None:
    assert "ends in .ipynb" in night.overnight("report", "night.pdf", code=2).err
    assert "no stamp" in night.overnight("report", "--check", "train.py", code=1).err
    night.overnight("report", "night.md")
    other = fill(Lab(place, "other"))
    done = other.overnight("report", "--check", str(night.root / "night.md"), code=7)
    assert "this clone has not the commit" in done.err and "overnight merge" in done.err
    night.git("remote", "add", "origin", f"file://{other.root}")
    other.overnight("merge", f"file://{night.root}")
    assert {each["verdict"] for each in check(other, str(night.root / "night.md")).values()} == {"matched"}


def test_the_runner_writes_the_report_of_the_night(lab: Lab) -> None:
    before = lab.git("status", "--porcelain")
    done = lab.night("--experiments", "3", "--seed", "1")
    path = Path(lab.status()["report"])
    assert path.parent == lab.state / "reports" and str(path) in done.out + lab.overnight("loop", "status").out
    assert "it has done its 3 experiments" in path.read_text(), "the loop's end is in it"
    assert {each["verdict"] for each in check(lab, str(path)).values()} == {"matched"}
    assert lab.git("status", "--porcelain") == before
    # One that was cut off and is ended by hand has one too.
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "5")
    lab.has_started(3)
    lab.kill_runner()
    lab.overnight("loop", "resume")
    lab.overnight("loop", "stop", "--now")
    lab.go()
    second = until(lambda: lab.status().get("report") or None, "the second report is written")
    assert second != str(path) and "stopped it" in Path(second).read_text()


def test_the_runner_goes_without_a_report_that_cannot_be_written(lab: Lab) -> None:
    lab.overnight("loop", "status")
    (lab.state / "reports").write_text("in the way")
    done = lab.night("--experiments", "2")
    assert "report" not in lab.status() and len(lab.is_sound(2)) == 2, done
    assert "report could not be written" in (lab.state / "runner.log").read_text()


@pytest.fixture
def installed(night: Lab) -> Iterator[dict[str, str]]:
    """The environment in which Jupyter finds our kernel."""
    prefix = night.place.path / "prefix"
    night.overnight("install", "--prefix", str(prefix))
    yield {"JUPYTER_PATH": str(prefix / "share/jupyter")}


def test_the_notebook_opens_runs_again_and_is_converted(night: Lab, installed: dict[str, str]) -> None:
    night.overnight("report", "night.ipynb")
    book = nbformat.read(night.root / "night.ipynb", as_version=4)
    nbformat.validate(book)
    drawn = next(cell for cell in book.cells if cell.id == "progress")
    assert drawn.source == "%plot progress --tag main"
    picture = drawn.outputs[0]["data"]["image/png"].replace("\n", "")
    assert base64.b64decode(picture).startswith(b"\x89PNG")

    def convert(*args: str) -> None:
        night.place.command([sys.executable, "-m", "nbconvert", *args, "night.ipynb"], night.root, env=installed, timeout=600)

    convert("--to", "html", "--output", "shown.html")
    assert picture[:400] in (night.root / "shown.html").read_text()
    convert("--execute", "--to", "notebook", "--output", "again.ipynb", "--ExecutePreprocessor.timeout=300")
    again = nbformat.read(night.root / "again.ipynb", as_version=4)
    code = [cell for cell in again.cells if cell.cell_type == "code"]
    assert len(code) > 1 and all(cell.outputs and cell.outputs[0]["output_type"] == "display_data" for cell in code)
    assert "application/vnd.vegalite.v5+json" in code[0].outputs[0]["data"]
    diff = next(cell for cell in code if cell.source.startswith("%diff"))
    assert "train.py" in diff.outputs[0]["data"]["text/plain"]
    assert {each["verdict"] for each in check(night, "again.ipynb").values()} == {"matched"}


def test_a_models_summary_is_marked_and_checked_by_nobody(night: Lab) -> None:
    with model(summary="It **went** down to 0.0001 <script>alert(1)</script> @ada.") as it:
        night.place.env |= it.env()
        night.overnight("report", "night.html", "--summary", "--agent", "anthropic:claude-opus-5")
    text = (night.root / "night.html").read_text()
    assert "Written by anthropic:claude-opus-5, not checked" in text and "<strong>went</strong>" in text
    told = it.summarized[0]
    assert "<script" not in text and "val_bpb" in told
    assert "What was kept" in told and "base64," not in told, "the report itself is what a model reads"
    assert {each["verdict"] for each in check(night, "night.html").values()} == {"matched"}
    assert "no model is set up" in night.overnight("report", "a.html", "--summary", code=None).err or it


def test_where_a_model_is_set_up_a_report_has_its_summary_by_itself(night: Lab) -> None:
    name = "anthropic:claude-opus-5"
    night.overnight("report", "none.html")
    with model(summary="It went well.") as it:
        night.place.env |= it.env() | {"OVERNIGHT_AGENT": name}
        said = night.overnight("report", "with.html").out
        assert f"{name} writes its summary" in said and len(it.summarized) == 1
        night.overnight("report", "without.html", "--no-summary")
        assert len(it.summarized) == 1
        # The report of a loop's end has one too, for which the runner does not wait.
        night.night("--experiments", "1", "--seed", "2")
        told = json.loads(night.overnight("--json", "loop", "status").out)["report"]
        until(lambda: "It went well" in Path(told).read_text(), "the report has a summary")
    written = {name: (night.root / name).read_text() for name in ("none.html", "with.html", "without.html")}
    assert [file for file, text in written.items() if "It went well" in text] == ["with.html"]
    # Nobody listens there any more.
    said = night.overnight("report", "late.html").out
    assert "It has no summary" in said and "val_bpb" in (night.root / "late.html").read_text()
    for file in ("with.html", "late.html"):
        assert {each["verdict"] for each in check(night, file).values()} == {"matched"}


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_the_page_stands_alone_in_light_and_dark_and_on_paper(night: Lab) -> None:
    night.overnight("report", "night.html")
    file = night.root / "night.html"
    assert "<script" not in file.read_text() and "http://" not in file.read_text()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        grounds, asked = set(), []
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 800})
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: asked.append(message.text))
            page.goto(file.as_uri())
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing sticks out of a narrow page"
            assert page.evaluate("document.images[0].naturalWidth") > 1000
            assert "overnight-report" not in page.inner_text("body")
        assert len(grounds) == 2 and {url for url in asked if not url.startswith("data:")} == {file.as_uri()}
        assert page.pdf().startswith(b"%PDF")
        browser.close()
