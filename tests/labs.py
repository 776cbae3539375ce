"""Tiny labs for the tests: real git repositories whose runs take a tenth of a second.

The usual one is a `train.py` (editable) of constants and a value computed from them, and a `harness.py`
(locked) that prints it the way karpathy/autoresearch does. Three files beside the repository steer a
night from outside, without any sleeping for luck:

- `gate/hold` makes every run wait at its start until `gate/go-<experiment>` or `gate/open` is there;
- `gate/started` gets one line per run that has begun: `<experiment> <pid>`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import textwrap
import uuid
from pathlib import Path
from typing import Any

from places import BINARY, Done, Place, until

TRAIN = '''\
"""A made-up model: how good it is depends on these constants and on nothing else."""

import math

LR = 0.04
WIDTH = 48
WARMUP = 0.10


def value():
    """Bits per byte; the best that there is, is 1.0."""
    return 1.0 + 0.1 * math.log10(LR / 0.01) ** 2 + abs(WIDTH - 96) / 960 + (WARMUP - 0.3) ** 2


if __name__ == "__main__":
    import harness

    harness.run(value())
'''

HARNESS = '''\
import os
import sys
import time

GATE = sys.argv[1] if len(sys.argv) > 1 else ""
PACE = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
STEPS = 8


def run(value):
    number = os.environ.get("OVERNIGHT_EXPERIMENT", "?")
    if GATE:
        with open(os.path.join(GATE, "started"), "a") as started:
            started.write(f"{number} {os.getpid()}\\n")
    for step in range(STEPS):
        loss = value * (1 + 2 * 0.5**step)
        print(f"\\rstep {step:05d} ({100 * step / STEPS:.1f}%) | loss: {loss:.6f} | lrm: 1.00 | dt: 12ms | "
              f"tok/sec: 1,690,000 | mfu: 39.8%", end="", flush=True)
        if step == 3:
            wait(number)
        time.sleep(PACE)
    print()
    print("---")
    print(f"val_bpb:          {value:.6f}")
    print("training_seconds: 0.1")
    print("peak_vram_mb:     45060.2")
    print("num_params_M:     50.3")
    print(f"depth:            {STEPS}")


def wait(number):
    def there(name):
        return os.path.exists(os.path.join(GATE, name))

    while GATE and there("hold") and not there("open") and not there(f"go-{number}"):
        time.sleep(0.01)
'''

SETTINGS = {
    "editable": "train.py",
    "metric": "val_bpb",
    "direction": "minimize",
    "budget": "10s",
    "timeout": "60s",
}


class Lab:
    """One repository, and the product run on it."""

    def __init__(self, place: Place, name: str = "lab") -> None:
        self.place = place
        self.root = place.path / name
        self.gate = place.path / f"{name}-gate"
        self.root.mkdir()
        self.gate.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    # -- making it

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """Writes a file of the checkout, outdented."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        file.chmod(mode)
        return file

    def program(self, text: str = "Explore the learning rate first.\n", **settings: Any) -> None:
        """Writes `program.md`. JSON is YAML, so each setting is written as JSON; None leaves one out."""
        usual = {"run": f"python3 -S train.py {self.gate}", "writes": [str(self.gate)]}
        merged = SETTINGS | usual | settings
        lines = [f"{key}: {json.dumps(value)}" for key, value in merged.items() if value is not None]
        self.write("program.md", "---\n" + "\n".join(lines) + f"\n---\n{text}")

    def commit(self, message: str = "Make a lab") -> str:
        """Commits everything and returns the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

    def hold(self) -> None:
        """Makes runs wait."""
        (self.gate / "hold").touch()

    def go(self, *experiments: int) -> None:
        """Lets the runs of these experiments go on, or of all."""
        for name in [f"go-{n}" for n in experiments] or ["open"]:
            (self.gate / name).touch()

    def proposer(self, source: str) -> str:
        """Writes a Python program beside the lab and returns what `--agent` calls it."""
        file = self.place.path / "proposer.py"
        file.write_text("#!/usr/bin/env -S python3 -S\n" + textwrap.dedent(source))
        file.chmod(0o755)
        return f"command:{file}"

    # -- running the product

    def overnight(self, *args: str, code: int | None = 0, **more: Any) -> Done:
        """Runs `overnight …` in the checkout."""
        return self.place.command([str(BINARY), *args], more.pop("cwd", self.root), code, **more)

    def spawn(self, *args: str, **more: Any) -> subprocess.Popen[str]:
        """Starts `overnight …` and returns while it runs."""
        return subprocess.Popen([str(BINARY), *args], cwd=self.root, env=self.place.env, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def json(self, *args: str, **more: Any) -> Any:
        """What `overnight --json …` prints."""
        return json.loads(self.overnight("--json", *args, **more).out)

    def experiments(self) -> list[dict[str, Any]]:
        """Every experiment, in the order of numbers."""
        return self.json("experiments")["experiments"]

    def status(self) -> dict[str, Any]:
        """What the loop is doing."""
        return self.json("loop", "status")

    def night(self, *args: str, code: int = 0, **more: Any) -> Done:
        """A whole loop, from its start to its end."""
        return self.overnight("loop", "start", "--wait", *args, code=code, **more)

    def runner(self) -> int:
        """The process of the runner, once there is one."""
        return until(lambda: self.status()["pid"], "a runner is there")

    def runner_or_none(self) -> int | None:
        """The process of the runner, or None where none runs."""
        return self.status()["pid"]

    def count(self, name: str) -> int:
        """How often an event is in the journal, without parsing it: for waiting in a tight loop."""
        try:
            return (self.state / "events.jsonl").read_bytes().count(f'"event":"{name}"'.encode())
        except FileNotFoundError:
            return 0

    def kill_runner(self) -> int:
        """Ends the runner as a power cut would, and nothing else."""
        pid = self.runner()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid), "the killed runner is gone")
        return pid

    # -- looking at it

    def git(self, *args: str, code: int | None = 0) -> str:
        """Runs git in the checkout and returns what it prints."""
        return self.place.command(["git", *args], self.root, code).out

    @property
    def state(self) -> Path:
        """Where the lab's state is kept: under the git common directory."""
        return self.root / ".git/overnight"

    def events(self) -> list[dict[str, Any]]:
        """The journal; a line that is still being written is passed over."""
        try:
            lines = (self.state / "events.jsonl").read_text().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines if line.endswith("}\n")]

    def happened(self, name: str) -> list[dict[str, Any]]:
        """The events of one kind."""
        return [event for event in self.events() if event["event"] == name]

    def started(self) -> list[int]:
        """The experiments whose runs have begun, in order, once for each run."""
        try:
            text = (self.gate / "started").read_text()
        except FileNotFoundError:
            return []
        return [int(line.split()[0]) for line in text.splitlines()]

    def has_started(self, experiment: int) -> None:
        """Waits until a run of `experiment` has begun."""
        until(lambda: experiment in self.started(), f"the run of experiment {experiment} begins")

    def has_finished(self, count: int) -> None:
        """Waits until `count` experiments are in the ledger."""
        until(lambda: len(self.experiments()) >= count, f"{count} experiments are finished", pause=0.1)

    def is_sound(self, count: int | None = None) -> list[dict[str, Any]]:
        """Checks what must hold of every ledger at rest, and returns the experiments."""
        found = self.experiments()
        assert [e["number"] for e in found] == list(range(len(found))), "numbers have gaps or repeat"
        assert len({e["id"] for e in found}) == len(found), "two experiments have one name"
        for each in found:
            assert uuid.UUID(each["id"]).version == 7
            self.git("cat-file", "-e", f"{each['candidate']}^{{commit}}")
        assert count is None or len(found) == count
        self.git("fsck", "--strict", "--no-dangling")
        recorded = [event["experiment"] for event in self.happened("recorded")]
        assert len(recorded) == len(set(recorded)), "an experiment was recorded twice"
        return found

    def has_nowhere(self, text: str, *more: Path) -> None:
        """Checks that no commit and no file of the lab, of the cache and of `more` folders holds a text."""
        for folder in (self.root, self.place.path / "cache", *more):
            for file in folder.rglob("*"):
                if file.is_file() and not file.is_symlink():
                    assert text.encode() not in file.read_bytes(), file
        assert text not in self.git("log", "--all", "-p")

    def worktree_is(self, before: Seen) -> None:
        """Checks that the researcher's tree, index, HEAD and stash are as they were."""
        after = Seen(self)
        assert after == before, f"{after}\nwas\n{before}"


class Seen:
    """What a researcher sees of the own checkout, byte for byte."""

    def __init__(self, lab: Lab, files: bool = True) -> None:
        # The index first: `git status` itself may refresh it.
        self.index = (lab.root / ".git/index").read_bytes()
        self.facts: dict[str, Any] = {
            "status": lab.git("--no-optional-locks", "status", "--porcelain=v2", "--branch", "--untracked-files=all"),
            "head": lab.git("rev-parse", "HEAD") + lab.git("symbolic-ref", "HEAD"),
            "stash": lab.git("stash", "list"),
        }
        if files:
            self.facts["files"] = {str(p.relative_to(lab.root)): p.read_bytes() for p in sorted(lab.root.rglob("*"))
                                   if p.is_file() and ".git" not in p.relative_to(lab.root).parts}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seen) and self.index == other.index and self.facts == other.facts

    def __repr__(self) -> str:
        return f"index of {len(self.index)} bytes, {self.facts}"


def alive(pid: int) -> bool:
    """Whether the process is there and not only waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False
