"""Faults without hooks in the product: a small library that is preloaded into its processes (`faults/faults.c`).

    faults = Faults(lab)
    lab.overnight("loop", "start", env=faults.kill(37))          # the runner dies before its 37th call
    faults.strike("ENOSPC", calls="open,write", path="/.git/")   # a full disk, from `faults.begin()` to `faults.end()`

What must hold of a lab after all that is [`is_at_rest`].
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import time
from functools import cache
from pathlib import Path

import pytest

from labs import Lab, Seen
from places import SHARED

SOURCE = Path(__file__).parent / "faults/faults.c"
# Calls that change what is on a disk.
WRITES = "open,write,sync,rename,link,unlink,mkdir,truncate"


@cache
def library() -> Path:
    """The compiled library; compiled once for all tests of one source."""
    name = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    built = SHARED / f"faults-{name}.so"
    if not built.exists():
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if not compiler:
            pytest.skip("no C compiler")
        SHARED.mkdir(parents=True, exist_ok=True)
        part = built.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, "-O1", "-Wall", "-shared", "-fPIC", "-o", part, SOURCE, "-ldl"], check=True)
        part.rename(built)
    return built


class Faults:
    """Environments that make a lab's processes fail."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.folder = lab.place.path / "faults"
        self.folder.mkdir(exist_ok=True)
        self._switch = self.folder / "on"
        self._clock = self.folder / "clock"

    def env(self, roles: str, **settings: object) -> dict[str, str]:
        """What to add to a command's environment; a setting is one of the library's variables, in small letters."""
        env = {"LD_PRELOAD": str(library()), "FAULTS_ROLES": roles, "FAULTS_PATH": str(self.lab.place.path),
               "FAULTS_NOT": "runner.log,runner.err,/faults/"}
        return env | {f"FAULTS_{name.upper()}": str(value) for name, value in settings.items()}

    def count(self, name: str, roles: str = "runner", calls: str = WRITES) -> dict[str, str]:
        """Counts calls and writes each down."""
        return self.env(roles, calls=calls, count=self.folder / name, trace=self.folder / f"{name}.trace")

    def counted(self, name: str) -> list[str]:
        """The calls, as `<call> <path>`."""
        lines = (self.folder / f"{name}.trace").read_text(errors="replace").splitlines()
        return [line.split(" ", 1)[1] for line in sorted(lines, key=lambda line: int(line.split()[0]))]

    def kill(self, at: int, roles: str = "runner", calls: str = WRITES, how: str = "kill") -> dict[str, str]:
        """Kills the process before its call with this number (`how="tear"`: in the middle of that write)."""
        return self.env(roles, calls=calls, at=at, do=how)

    def strike(self, error: str, roles: str = "runner,git", calls: str = "open,write,rename,link,mkdir",
               path: Path | None = None, **more: object) -> dict[str, str]:
        """Has calls on paths below `path` fail with `error` while the switch is on."""
        settings = {"path": path or self.lab.place.path, "calls": calls, "at": 1, "do": error} | more
        return self.env(roles, **{"while": self._switch}, **settings)

    def begin(self) -> None:
        """Switches the faults of [`strike`] on."""
        self._switch.touch()

    def end(self) -> None:
        """Switches them off."""
        self._switch.unlink(missing_ok=True)

    def clock(self, roles: str = "runner,shim") -> dict[str, str]:
        """Lets clocks be moved by [`shift`]."""
        self.shift()
        return self.env(roles, clock=self._clock)

    def shift(self, wall: float = 0, awake: float = 0, boot: float = 0) -> None:
        """Moves the wall clock, the clock that stands still in suspend, and the one that does not, by seconds."""
        with open(self._clock, "r+b" if self._clock.exists() else "w+b") as file:
            file.write(struct.pack("=qqq", *(int(seconds * 1e9) for seconds in (wall, awake, boot))))


def counting(lab: Lab) -> str:
    """A proposer of candidates that are all new: the number of its turn, in constants of no more digits than count."""
    turns = lab.place.path / "turns"
    return lab.proposer(
        f"""
        import json, re, sys
        json.load(sys.stdin)
        with open({str(turns)!r}, "a+") as file:
            file.write("x")
            turn = file.tell()
        text = open("train.py").read()
        text = re.sub(r"WIDTH = \\d+", f"WIDTH = {{48 + turn % 900}}", text)
        text = re.sub(r"WARMUP = .+", f"WARMUP = 0.{{10 + turn // 900}}", text)
        open("train.py", "w").write(text)
        print(json.dumps({{"hypothesis": f"turn {{turn}}"}}))
        """
    )


def is_at_rest(lab: Lab, before: Seen | None = None) -> list[dict]:
    """Checks everything that must hold of a lab whose loop has ended, whatever happened; returns its experiments."""
    found = lab.is_sound()
    recorded = {each["id"]: each for each in found}
    given_up = {event["experiment"] for event in lab.happened("not_proposed")}
    begun = {event["experiment"] for event in lab.happened("proposing")}
    lost = begun - given_up - recorded.keys()
    assert not lost, f"begun, and neither recorded nor given up: {lost}"
    assert not recorded.keys() - begun, "an experiment that was never begun"
    assert not recorded.keys() & given_up, "an experiment that was given up and recorded"

    kept = [each["candidate"] for each in found if each["status"] == "keep"]
    line = lab.git("rev-list", "--first-parent", "--reverse", "autoresearch/main").split()
    assert [commit for commit in line if commit in kept] == kept, "the branch does not hold what was kept"
    assert line[line.index(kept[0]):] == kept, "the branch holds more than what was kept"
    assert lab.git("rev-parse", "refs/overnight/best/main").strip() == kept[-1]

    assert lab.place.quiet() == {}
    leaves_nothing(lab)
    if before is not None:
        lab.worktree_is(before)
    return found


def leaves_nothing(lab: Lab) -> None:
    """Checks that no lock, no half file and no temporary one is left, where a runner has had its turn after a kill.

    What is younger than some seconds could be a living process's, so a runner leaves it to the next one: here, all of
    it is made older, and the next one begins.
    """
    def found() -> list[Path]:
        cache = lab.place.path / "cache"
        patterns = [(lab.root / ".git", "*.lock"), (lab.root / ".git", "tmp_*"), (lab.root / ".git", "*.part"),
                    (lab.state, ".tmp*"), (cache, "*.part"), (lab.state / "drafts", "*")]
        files = [path for folder, pattern in patterns for path in folder.rglob(pattern)]
        # The mark of a proposal (`proposers/N/run.part`) is one small file, written over by the next proposal.
        return [path for path in files if path.name not in ("runner.lock", "refs.lock")
                and not {"prelude", "proposers"} & set(path.parts)]

    left = found()
    if left:
        old = time.time() - 3600
        for path in left:
            os.utime(path, (old, old), follow_symlinks=False)
        lab.overnight("loop", "resume", code=None)
        if lab.runner_or_none():
            lab.kill_runner()  # It has nothing to do, and would wait some seconds for requests.
    assert found() == [], f"left behind: {found()}"
