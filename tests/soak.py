"""A simulated night that everything happens to: thousands of short experiments, with faults by chance.

    tests/.venv/bin/python tests/soak.py --minutes 30 [--seed N]

Runners, shims, candidates, proposers and git are killed; disks fill up and are emptied again; clocks are set; a
person collects garbage, commits, deletes branches and worktrees. Every minute or so the loop is stopped, and all that
must hold of a lab at rest is checked. The report at the end says what happened; the exit code is 1 where anything
did not hold, and the lab is then left for a look.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from conftest import fill
from faulty import Faults, counting, is_at_rest
from labs import Lab, Seen
from places import Place, until

# How often the loop is stopped and everything is checked, in seconds.
CHECK = 45.0
PROCESSES = {"runner": " runner", "shim": " shim ", "candidate": "train.py", "proposer": "proposer.py", "git": "git "}
ERRORS = ["ENOSPC", "EDQUOT", "EROFS", "EIO"]


class Night:
    """The lab, what happens to it, and what was counted."""

    def __init__(self, place: Place, seed: int) -> None:
        self.random = random.Random(seed)
        self.lab = fill(Lab(place), crashes=100000)
        self.faults = Faults(self.lab)
        # The same for the whole night: another number of slots is another epoch, with a line of keeps of its own.
        self.options = ["--agent", counting(self.lab), "--slots", self.random.choice(["1", "2"])]
        self.happened: Counter[str] = Counter()
        self.rss: list[tuple[float, int, int]] = []
        self.checks = 0
        self.began = time.monotonic()
        self.clock = self.faults.clock()

    def start(self) -> None:
        """Has the loop begin or go on, under a runner that will die, or whose disk can fill up."""
        if self.random.random() < 0.5:
            how = self.random.choice(["kill", "kill", "tear"])
            env = self.faults.kill(self.random.randrange(1, 1500), how=how)
            self.happened[f"a runner that is to die at a call ({how})"] += 1
        else:
            env = self.faults.strike(self.random.choice(ERRORS), self.random.choice(["runner", "git", "runner,git"]))
        roles = env["FAULTS_ROLES"]
        command = self.random.choice([["loop", "resume"], ["loop", "start", "--hours", "8", *self.options]])
        env = self.clock | env | {"FAULTS_ROLES": roles}
        self.lab.overnight(*command, code=None, env=env)

    def step(self) -> None:
        """One thing that happens."""
        if self.lab.runner_or_none() is None or self.lab.status()["state"] == "idle":
            self.start()
        happens: list[Callable[[], None]] = [self.kill] * 4 + [self.disk, self.set_clock, self.person, self.person]
        self.random.choice(happens)()
        self.sample()
        time.sleep(self.random.uniform(0, 1))

    def kill(self) -> None:
        what = self.random.choice(list(PROCESSES))
        mark = PROCESSES[what]
        found = [pid for pid, line in self.lab.place.processes().items() if mark in line and " loop " not in line]
        if found:
            try:
                os.kill(self.random.choice(found), signal.SIGKILL)
                self.happened[f"killed: {what}"] += 1
            except ProcessLookupError:
                pass

    def disk(self) -> None:
        self.faults.begin()
        time.sleep(self.random.uniform(0, 3))
        self.faults.end()
        self.happened["a disk that could not be written"] += 1

    def set_clock(self) -> None:
        hours = self.random.uniform(-3, 3)
        self.faults.shift(wall=hours * 3600)
        self.happened["a clock that was set"] += 1

    def person(self) -> None:
        git = self.lab.git
        deeds: dict[str, Callable[[], object]] = {
            "git gc --prune=now": lambda: git("gc", "--quiet", "--prune=now", code=None),
            "git commit": lambda: git("commit", "--quiet", "--allow-empty", "-m", "Thoughts"),
            "git rebase": lambda: git("rebase", "--quiet", "--no-ff", "HEAD~1", code=None),
            "git pack-refs": lambda: git("pack-refs", "--all", code=None),
            "git worktree prune": lambda: git("worktree", "prune", "--expire=now", code=None),
            "git branch -D": lambda: git("branch", "-D", "autoresearch/main", code=None),
            "the best was deleted": lambda: git("update-ref", "-d", "refs/overnight/best/main", code=None),
            "overnight note": lambda: self.lab.overnight("note", "0", "a note", code=None),
            "overnight loop steer": lambda: self.lab.overnight("loop", "steer", "wider", code=None),
        }
        name = self.random.choice(list(deeds))
        deeds[name]()
        self.happened[f"a person: {name}"] += 1

    def sample(self) -> None:
        pid = self.lab.runner_or_none()
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return
        kilobytes = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")]
        if kilobytes:
            self.rss.append((time.monotonic() - self.began, kilobytes[0], self.lab.count("recorded")))

    def check(self) -> None:
        """Stops the loop, and checks what must hold."""
        self.faults.end()
        self.lab.overnight("loop", "start", "--experiments", "1", *self.options, code=None)
        self.lab.overnight("loop", "stop", code=None)
        until(lambda: self.lab.status()["state"] == "idle", "the loop ends", 300)
        until(lambda: self.lab.runner_or_none() is None, "the runner ends")
        # A last experiment without faults: the branch is where it should be, whatever a person did to it meanwhile.
        before = Seen(self.lab)
        done = len(self.lab.experiments())
        self.lab.overnight("loop", "start", "--experiments", "1", *self.options, code=None)
        self.lab.overnight("loop", "wait", code=None)
        found = is_at_rest(self.lab, before)
        self.checks += 1
        print(f"{time.monotonic() - self.began:6.0f} s  sound: {len(found)} experiments "
              f"({len(found) - done} by the last, quiet runner)", flush=True)

    def report(self) -> None:
        took = time.monotonic() - self.began
        found = self.lab.experiments()
        kept = sum(each["status"] == "keep" for each in found)
        print(f"\n{took / 60:.1f} minutes, {len(found)} experiments ({kept} kept), {took / max(len(found), 1):.2f} s "
              f"each, faults and checks included; everything was checked {self.checks} times\n")
        for name, times in sorted(self.happened.items()):
            print(f"{times:7}  {name}")
        print(f"{self.lab.count('loop_paused') + self.lab.count('loop_started'):7}  loops begun or paused")
        print("\nresident memory of the runner")
        share = max(len(self.rss) // 8, 1)
        for at in range(0, len(self.rss), share):
            part = self.rss[at:at + share]
            print(f"{part[-1][0]:7.0f} s  {statistics.median(kb for _, kb, _ in part) / 1024:6.1f} MB at "
                  f"{part[-1][2]} experiments")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    place = Place()
    night = Night(place, args.seed)
    end, checked = time.monotonic() + args.minutes * 60, time.monotonic()
    try:
        while time.monotonic() < end:
            night.step()
            if time.monotonic() - checked > CHECK:
                night.check()
                checked = time.monotonic()
        night.check()
    except Exception:  # noqa: BLE001: whatever it is, it is what the soak has found
        traceback.print_exc()
        night.report()
        place.kill_all()
        print(f"\nNOT SOUND: kept for a look at {place.path}")
        return 1
    night.report()
    place.remove()
    print("\nsound")
    return 0


if __name__ == "__main__":
    sys.exit(main())
