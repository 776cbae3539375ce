"""This repository as a lab: a copy of the working tree under `target/acceptance`.

The copy stays there between runs of the tests, so that the first experiment's build is cold only once.
What the loop keeps of earlier runs (refs, journal, branch) is forgotten each time.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from labs import Lab
from places import ROOT, SHARED, Place


def bundled_lab(place: Place) -> Lab:
    """The copy, as a newcomer finds it after `git clone`, but for build folders."""
    lab = object.__new__(Lab)
    lab.place, lab.root, lab.gate = place, SHARED / "overnight", place.path / "gate"
    lab.root.mkdir(parents=True, exist_ok=True)
    # What a build leaves is kept; sockets stay in the place, whose path is short.
    place.env["XDG_CACHE_HOME"] = str(SHARED / "cache")

    listed = place.command(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT).out
    wanted = {path for path in listed.split("\0") if path and (ROOT / path).is_file()}
    if not (lab.root / ".git").exists():
        lab.git("init", "--quiet", "--initial-branch=main")
    for path in lab.git("ls-files", "-z").split("\0"):
        if path and path not in wanted:
            (lab.root / path).unlink(missing_ok=True)
    for path in wanted:
        copy(ROOT / path, lab.root / path)
    forget(lab)
    lab.git("checkout", "--quiet", "-B", "main", code=None)
    lab.commit("Overnight, as it is in the working tree")
    return lab


def copy(source: Path, target: Path) -> None:
    """Copies a file if it differs: a new time of change would have cargo build again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_file() or target.read_bytes() != source.read_bytes():
        shutil.copyfile(source, target)
    shutil.copymode(source, target)


def forget(lab: Lab) -> None:
    """Removes what earlier loops left."""
    refs = lab.git("for-each-ref", "--format=%(refname)", "refs/overnight", "refs/heads/autoresearch").split()
    for ref in refs:
        lab.git("update-ref", "-d", ref)
    shutil.rmtree(lab.state, ignore_errors=True)
    for executed in (lab.root / "notebooks").glob("*.executed.ipynb"):
        executed.unlink()
