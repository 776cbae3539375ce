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


def test_it_runs_with_nothing_configured(karpathy: Lab, place: Place) -> None:
    uv = place.path / "bin/uv"
    uv.write_text(UV)
    uv.chmod(0o755)
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
