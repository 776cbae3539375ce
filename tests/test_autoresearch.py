"""karpathy/autoresearch as it is: `git clone`, `overnight loop start`, and nothing configured.

The checkout is his own, unmodified. `OVERNIGHT_AUTORESEARCH` names a path or an address of it; without that it is cloned
from GitHub. What his code needs a GPU and the network for is played by `autoresearch/uv`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pexpect
import pytest

from kernels import Kernel
from labs import Lab, Seen
from places import BINARY, PATIENCE, ROOT, Place
from test_karpathy_lab import without

REPOSITORY = "https://github.com/karpathy/autoresearch"
SUMMARY = {"val_bpb", "training_seconds", "total_seconds", "peak_vram_mb", "mfu_percent", "total_tokens_M",
           "num_steps", "num_params_M", "depth"}
# One change that helps, one that does not, and one that no GPU has the memory for.
DEEPER = """\
    import json, re, sys
    done = len(json.load(sys.stdin)["experiments"])
    depth = {1: 9, 2: 4, 3: 64}[done]
    text = open("train.py").read()
    open("train.py", "w").write(re.sub(r"(?m)^DEPTH = \\d+", f"DEPTH = {depth}", text))
    print(json.dumps({"hypothesis": f"a depth of {depth}"}))
"""
COLUMNS = ["commit", "val_bpb", "memory_gb", "status", "description"]


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> str:
    """His repository."""
    if named := os.environ.get("OVERNIGHT_AUTORESEARCH"):
        return named
    folder = tmp_path_factory.mktemp("upstream")
    try:
        subprocess.run(["git", "clone", "--quiet", REPOSITORY, str(folder)], check=True, timeout=60,
                       capture_output=True, text=True, env=os.environ | {"GIT_TERMINAL_PROMPT": "0"})
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (error.stderr or str(error)).strip().splitlines()[-1]
        pytest.skip(f"{REPOSITORY} cannot be cloned ({said}); OVERNIGHT_AUTORESEARCH can name a copy")
    return str(folder)


@pytest.fixture
def autoresearch(place: Place, upstream: str) -> Lab:
    """A fresh clone of it, on a machine that has `uv` and none of the data."""
    shutil.copy(ROOT / "tests/autoresearch/uv", place.path / "bin/uv")
    lab = Lab(place, "autoresearch")
    shutil.rmtree(lab.root)
    place.command(["git", "clone", "--quiet", upstream, str(lab.root)], place.path)
    return lab


def data(place: Place) -> Path:
    """Where his `prepare.py` keeps what it makes."""
    return Path(place.env["HOME"]) / ".cache/autoresearch"


def is_untouched(lab: Lab) -> None:
    """Checks that nothing of the loop has begun."""
    assert lab.status()["state"] == "idle"
    assert lab.events() == []
    assert lab.git("for-each-ref", "refs/overnight", "refs/heads/autoresearch") == ""


def test_a_fresh_clone_runs_with_nothing_configured(autoresearch: Lab) -> None:
    lab, before = autoresearch, Seen(autoresearch)
    start = lab.git("rev-parse", "HEAD").strip()
    said = lab.night("--prepare", "--experiments", "4")
    assert "Downloaded shard_06542.parquet" in said.out and "Done! Ready to train." in said.out, said

    found = lab.is_sound(4)
    lab.worktree_is(before)
    assert lab.git("status", "--porcelain") == ""
    baseline = found[0]
    assert (baseline["status"], baseline["candidate"]) == ("keep", start)
    assert set(baseline["summary"]) == SUMMARY
    assert all(each["status"] in ("keep", "discard", "crash") for each in found), found
    changed = {lab.git("diff", "--name-only", each["parent"], each["candidate"]).strip() for each in found[1:]}
    assert changed == {"train.py"}

    best = [each["candidate"] for each in found if each["status"] == "keep"][-1]
    assert lab.git("rev-parse", "autoresearch/main").strip() == best
    lab.git("merge-base", "--is-ancestor", start, "autoresearch/main")
    lab.git("check-ignore", "--quiet", "results.tsv")

    # Every field of the summary is a column, and each line that a run has printed is a row.
    assert all(set(each["summary"]) == SUMMARY for each in found if each["status"] != "crash"), found
    columns = ", ".join(sorted(SUMMARY))
    [row] = lab.json("sql", f"SELECT {columns} FROM experiments WHERE number = 0")
    assert row == pytest.approx(baseline["summary"])
    steps = lab.json("metrics", "0")["columns"]
    assert steps["step"] == list(range(0, 953, 50))
    assert {"loss", "lrm", "dt", "tok/sec", "mfu", "epoch", "remaining"} <= set(steps)

    # The data is there, so that nothing is prepared or asked again.
    again = lab.night("--experiments", "1")
    assert "prepare.py" not in again.text
    lab.worktree_is(before)


def test_his_notebook_works_on_the_table(autoresearch: Lab, place: Place) -> None:
    lab = autoresearch
    lab.night("--prepare", "--experiments", "4", "--agent", lab.proposer(DEEPER))
    # Beside the checkout: his notebook draws `progress.png`, which he has committed.
    desk = place.path / "desk"
    desk.mkdir()
    lab.overnight("export", str(desk / "results.tsv"))
    table = [line.split("\t") for line in (desk / "results.tsv").read_text().splitlines()]
    assert table[0] == COLUMNS and {len(row) for row in table} == {5}
    found = lab.experiments()
    assert [row[0] for row in table[1:]] == [each["candidate"][:7] for each in found]
    assert [row[3] for row in table[1:]] == ["keep", "keep", "discard", "crash"]
    assert table[1][1:] == [f"{found[0]['value']:.6f}", "44.0", "keep", "baseline"]
    assert table[4][1:] == ["0.000000", "0.0", "crash", "a depth of 64"]

    shutil.copy(lab.root / "analysis.ipynb", desk)
    place.command([sys.executable, "-m", "nbconvert", "--execute", "--to", "notebook", "--output", "done.ipynb",
                   "analysis.ipynb"], desk)
    book = nbformat.read(desk / "done.ipynb", as_version=4)
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    printed = "".join(output["text"] for output in outputs if output["output_type"] == "stream")
    assert "Total experiments: 4" in printed and f"Columns: {COLUMNS}" in printed
    assert "Keep rate: 2/3 = 66.7%" in printed and "KEPT experiments (2 total)" in printed
    assert f"Best val_bpb:      {found[1]['value']:.6f}" in printed and "Best experiment:   a depth of 9" in printed
    assert (desk / "progress.png").read_bytes().startswith(b"\x89PNG")


def test_without_the_data_it_says_what_to_do(autoresearch: Lab, place: Place) -> None:
    lab, before = autoresearch, Seen(autoresearch)
    for words in (["loop", "start", "--experiments", "1"], ["loop", "resume"], ["run"]):
        said = lab.overnight(*words, code=3)
        assert said.out == ""
        assert said.err == (
            f"error: karpathy's data is not there: {data(place)} lacks data and tokenizer\n"
            f"hint: `loop start --prepare` downloads it, or run `uv run prepare.py` in {lab.root} yourself\n")
    is_untouched(lab)
    lab.worktree_is(before)
    assert "karpathy's data is not there" in lab.overnight("doctor", code=1).out
    rehearsal = lab.overnight("loop", "rehearse", code=3)
    assert "karpathy's data is not there" in rehearsal.out, rehearsal

    # A download that was cut off leaves a part of it.
    (data(place) / "data").mkdir(parents=True)
    (data(place) / "data/shard_00000.parquet").touch()
    said = lab.overnight("loop", "start", "--experiments", "1", code=3)
    assert "lacks tokenizer" in said.err

    # By hand, as it says.
    place.command(["uv", "run", "prepare.py"], lab.root)
    lab.night("--experiments", "1")
    assert [each["status"] for each in lab.is_sound(1)] == ["keep"]


def test_a_preparation_that_fails_starts_nothing(autoresearch: Lab, place: Place) -> None:
    data(place).parent.mkdir()
    data(place).write_text("no folder")
    said = autoresearch.overnight("loop", "start", "--prepare", code=1)
    assert "Cache directory:" in said.out, "its output is shown"
    assert "`uv run prepare.py` ended with exit status: 1:" in said.err, said
    assert "FileExistsError" in said.err or "NotADirectoryError" in said.err
    assert "hint: nothing was started" in said.err
    is_untouched(autoresearch)


def test_without_uv_that_comes_first(autoresearch: Lab, place: Place) -> None:
    (place.path / "bin/uv").unlink()
    place.env["PATH"] = without("uv", place)
    said = autoresearch.overnight("loop", "start", "--prepare", code=3)
    assert "`run` starts with `uv`, which is not on PATH" in said.err and "install uv" in said.err, said
    is_untouched(autoresearch)


@pytest.mark.parametrize(("answer", "code"), [("n", 3), ("", 3), ("y", 0)])
def test_in_a_terminal_it_asks(autoresearch: Lab, place: Place, answer: str, code: int) -> None:
    terminal = pexpect.spawn(str(BINARY), ["loop", "start", "--wait", "--experiments", "1"], cwd=str(autoresearch.root),
                             env=place.env, timeout=PATIENCE, encoding="utf-8")
    terminal.expect(r"Run `uv run prepare.py` now\? .*\[y/N\] ")
    terminal.sendline(answer)
    terminal.expect("Done! Ready to train" if code == 0 else "hint: `loop start --prepare`")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == code
    if code == 0:
        assert [each["status"] for each in autoresearch.is_sound(1)] == ["keep"]
    else:
        is_untouched(autoresearch)


def test_an_interrupted_question_is_no_answer(autoresearch: Lab, place: Place) -> None:
    terminal = pexpect.spawn(str(BINARY), ["loop", "start"], cwd=str(autoresearch.root), env=place.env,
                             timeout=PATIENCE, encoding="utf-8")
    terminal.expect(r"\[y/N\] ")
    terminal.sendintr()
    terminal.expect("error: interrupted")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 6
    is_untouched(autoresearch)


def test_a_notebook_prepares_when_told(autoresearch: Lab) -> None:
    kernel = Kernel(autoresearch)
    try:
        refused = kernel.execute("%loop start --experiments 1")
        assert refused.status == "error" and "`loop start --prepare` downloads it" in refused.text
        is_untouched(autoresearch)
        done = kernel.execute("%loop start --prepare --experiments 1")
        assert done.status == "ok" and "Done! Ready to train." in done.text, done.text
        assert kernel.execute("%loop wait").status == "ok"
    finally:
        kernel.close()
    assert [each["status"] for each in autoresearch.is_sound(1)] == ["keep"]
