"""A repository as karpathy/autoresearch has it: a plain `program.md`, a `train.py`, nothing configured."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labs import Lab
from places import Place, until

TRAIN = '''\
"""Prints what karpathy/autoresearch prints, in plain Python."""

import math
import time

LEARNING_RATE = 0.04
DEPTH = 8
WARMUP_RATIO = 0.2

BPB = 1.0 + 0.05 * math.log10(LEARNING_RATE / 0.02) ** 2 + 0.002 * abs(DEPTH - 12) + WARMUP_RATIO / 50

for step in range(10):
    loss = BPB * (1 + 2 * 0.5**step)
    print(f"\\rstep {step:05d} ({10 * step:.1f}%) | loss: {loss:.6f} | lrm: 1.00 | dt: 310ms | "
          f"tok/sec: 1,690,000 | mfu: 39.8% | epoch: 1 | remaining: {300 - 30 * step}s    ", end="", flush=True)
print()
print("---")
print(f"val_bpb:          {BPB:.6f}")
print("training_seconds: 300.1")
print("total_seconds:    325.9")
print("peak_vram_mb:     45060.2")
print("mfu_percent:      39.80")
print("total_tokens_M:   499.6")
print("num_steps:        953")
print("num_params_M:     50.3")
print(f"depth:            {DEPTH}")
'''

PROGRAM = """\
# autoresearch

This is an experiment to have the LLM do its own research. You edit `train.py` and nothing else.
The goal is simple: get the lowest val_bpb.
"""

# What `uv run FILE` does here: it runs python.
UV = '#!/bin/sh\n[ "$1" = run ] && shift\nexec python3 -S "$@"\n'


@pytest.fixture
def karpathy(bare_lab: Lab) -> Lab:
    """The repository, committed; with or without `uv` is the test's."""
    bare_lab.write("program.md", PROGRAM)
    bare_lab.write("train.py", TRAIN)
    bare_lab.write("prepare.py", "# locked\n")
    bare_lab.write("pyproject.toml", '[project]\nname = "autoresearch"\n')
    bare_lab.commit()
    return bare_lab


def with_uv(place: Place) -> None:
    """Puts `uv` on the path."""
    uv = place.path / "bin/uv"
    uv.write_text(UV)
    uv.chmod(0o755)


def test_it_runs_with_nothing_configured(karpathy: Lab, place: Place) -> None:
    with_uv(place)
    karpathy.night("--experiments", "4", "--seed", "3")

    found = karpathy.is_sound(4)
    baseline = found[0]
    assert baseline["status"] == "keep"
    assert baseline["value"] == pytest.approx(1.016532, abs=1e-5)
    assert baseline["summary"]["peak_vram_mb"] == 45060.2
    assert baseline["summary"]["depth"] == 8
    assert all(e["status"] in ("keep", "discard") for e in found), found
    changed = {karpathy.git("diff", "--name-only", e["parent"], e["candidate"]).strip() for e in found[1:]}
    assert changed == {"train.py"}

    columns = karpathy.json("metrics", "0")["columns"]
    assert columns["step"] == list(range(10))
    assert columns["tok/sec"][0] == 1_690_000
    assert karpathy.git("log", "--format=%H", "autoresearch/main").splitlines()


def test_its_data_can_be_read(karpathy: Lab, place: Place) -> None:
    """`prepare.py` keeps it in the home folder, of which a run sees little."""
    with_uv(place)
    shard = Path(place.env["HOME"]) / ".cache/autoresearch/data/shard_00000.parquet"
    shard.parent.mkdir(parents=True)
    shard.write_text("PAR1")
    data = "import os\nDATA = open(os.path.expanduser('~/.cache/autoresearch/data/shard_00000.parquet')).read()\n"
    karpathy.write("train.py", data + TRAIN)
    karpathy.commit()
    karpathy.night("--experiments", "1")
    [baseline] = karpathy.is_sound(1)
    assert baseline["status"] == "keep", karpathy.overnight("log", "0").out


def test_without_uv_the_error_says_so(karpathy: Lab, place: Place) -> None:
    place.env["PATH"] = without("uv", place)
    said = karpathy.overnight("loop", "start", "--wait", "--experiments", "2", code=None)
    assert said.code in (3, 4), said
    assert "uv" in said.text and "PATH" in said.text, said
    until(lambda: karpathy.status()["state"] == "idle", "the loop is over")


def without(program: str, place: Place) -> str:
    """A PATH on which `program` is not found: folders that hold it are replaced by links to all else in them."""
    folders = []
    for i, folder in enumerate(place.env["PATH"].split(os.pathsep)):
        if (Path(folder) / program).exists():
            links = place.path / f"path-{i}"
            links.mkdir()
            for each in Path(folder).iterdir():
                if each.name != program:
                    (links / each.name).symlink_to(each)
            folder = str(links)
        folders.append(folder)
    return os.pathsep.join(folders)


def commit_of(lab: Lab, text: str, message: str) -> str:
    lab.write("train.py", text)
    return lab.commit(message)


def test_an_old_branch_becomes_experiments_and_the_loop_goes_on_from_it(karpathy: Lab, place: Place) -> None:
    """As an agent has left it: keeps are commits, discards were reset away, the table is not committed."""
    with_uv(place)
    start = karpathy.git("rev-parse", "HEAD").strip()
    karpathy.git("checkout", "--quiet", "-b", "autoresearch/mar5")
    deeper = commit_of(karpathy, TRAIN.replace("DEPTH = 8", "DEPTH = 10"), "increase depth to 10")
    worse = commit_of(karpathy, TRAIN.replace("DEPTH = 8", "DEPTH = 4"), "halve the depth")
    karpathy.git("reset", "--quiet", "--hard", deeper)
    best = commit_of(karpathy, TRAIN.replace("DEPTH = 8", "DEPTH = 10").replace("= 0.04", "= 0.03"), "LR to 0.03")
    karpathy.write("results.tsv", "".join("\t".join(row) + "\n" for row in [
        ("commit", "val_bpb", "memory_gb", "status", "description"),
        (start[:7], "1.016532", "44.0", "keep", "baseline"),
        (deeper[:7], "1.012532", "44.2", "keep", "increase depth to 10"),
        (worse[:7], "1.024532", "43.0", "discard", "halve the depth"),
        ("0bad0ba", "0.000000", "0.0", "crash", "double the width (OOM)"),
        ("0ddba11", "1.005550", "44.2", "keep", "LR to 0.03"),
        ("feedbee", "1.013000", "44.2", "discard", "another seed"),
    ]))
    karpathy.git("checkout", "--quiet", "main")
    said = karpathy.overnight("import", "--branch", "autoresearch/mar5").out
    assert said.splitlines() == [
        "6 experiments added, 0 were there already",
        "2 of them have lost their change: git has their commits no more",
        f"the best is {best[:10]}: `loop start --tag mar5` goes on from there",
    ]
    found = karpathy.json("experiments", "--tag", "mar5")["experiments"]
    assert [(e["status"], e["value"], e["candidate"], e["parent"], e["hypothesis"]) for e in found] == [
        ("keep", 1.016532, start, None, "baseline"),
        ("keep", 1.012532, deeper, start, "increase depth to 10"),
        ("discard", 1.024532, worse, deeper, "halve the depth"),
        ("crash", None, deeper, deeper, "double the width (OOM)"),
        ("keep", 1.00555, best, deeper, "LR to 0.03"),
        ("discard", 1.013, best, best, "another seed"),
    ]
    assert "git has no commit `0bad0ba`" in found[3]["reason"]
    assert found[1]["summary"]["peak_vram_mb"] == pytest.approx(44.2 * 1024)
    again = karpathy.overnight("import", "--branch", "mar5").out
    assert again.splitlines() == ["0 experiments added, 6 were there already"]
    assert karpathy.git("rev-parse", "refs/overnight/best/mar5", "autoresearch/mar5").split() == [best, best]
    rows = karpathy.overnight("export", "--tag", "mar5").out.splitlines()
    assert rows[2] == f"{deeper[:7]}\t1.012532\t44.2\tkeep\tincrease depth to 10"

    # The checkout is where the branch began; the loop begins with a baseline on the best.
    karpathy.night("--experiments", "2", "--seed", "3", "--tag", "mar5")
    found = karpathy.json("experiments", "--tag", "mar5")["experiments"]
    assert [e["number"] for e in found] == list(range(8))
    assert found[6]["candidate"] == best and found[6]["status"] == "keep"
    assert found[7]["parent"] == best
    assert karpathy.overnight("fsck").code == 0


def test_an_import_without_a_table_says_what_is_missing(karpathy: Lab) -> None:
    karpathy.git("branch", "autoresearch/mar5")
    said = karpathy.overnight("import", "--branch", "mar5", code=1)
    assert "there is no results.tsv, neither in mar5 nor in" in said.err
    unknown = karpathy.overnight("import", "--branch", "never", code=1)
    assert "the repository has no commit `never`" in unknown.err
    karpathy.write("results.tsv", "a\tb\n")
    other = karpathy.overnight("import", "results.tsv", code=1)
    assert "this is not a results.tsv: its first line is `a b`" in other.err
