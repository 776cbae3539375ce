"""The runner dies before, or in the middle of, any call by which it changes a disk; so do the processes beside it.

Everything that such a death could lose, repeat or leave behind is checked after each ([`faulty.is_at_rest`]). A run
takes a sample, whose seed it prints; `TEST_SEED=n` takes the same again, and `FAULTS=all` takes every call.
"""

from __future__ import annotations

import os
import random
import signal

import pytest

from faulty import Faults, counting, is_at_rest
from labs import Lab, Seen
from places import until

SEED = int(os.environ.get("TEST_SEED", random.randrange(1 << 32)))
ALL = os.environ.get("FAULTS") == "all"


def chance(name: str) -> random.Random:
    """Numbers of chance that a seed repeats, different ones for each test."""
    print(f"TEST_SEED={SEED}")
    return random.Random(f"{SEED} {name}")


def is_dead(lab: Lab) -> None:
    """Waits until no runner is left, whether it was killed or had done its work."""
    until(lambda: not any(line.endswith(" runner") for line in lab.place.processes().values()), "the runner is gone")


def goes_on(lab: Lab, experiments: int, **more: object) -> None:
    """Has the loop go on, by whichever command a person could use."""
    lab.overnight("loop", "start", "--experiments", str(experiments), "--seed", "1", code=None, **more)


@pytest.mark.parametrize("how", ["kill", "tear"])
def test_killed_at_a_call(make_lab, how: str) -> None:
    """One night after another, each with one death, at calls that are spread over all of it."""
    lab = make_lab()
    faults = Faults(lab)
    goes_on(lab, 3, env=faults.count("calls"))
    lab.overnight("loop", "wait")
    is_at_rest(lab)
    calls = faults.counted("calls")
    assert len(calls) > 300, "nothing was counted: is the library still preloaded?"
    numbers = range(1, len(calls) + 1)
    if how == "tear":
        numbers = [n for n in numbers if calls[n - 1].startswith("write")]
    share = len(numbers) if ALL else 12
    # One of each share of the night.
    step = len(numbers) / share
    random_of = chance(how)
    chosen = [numbers[int(i * step + random_of.uniform(0, step))] for i in range(share)]
    for i, at in enumerate(chosen):
        night = make_lab(f"night-{i}")
        before = Seen(night)
        print(f"death {i} at call {at} of {len(calls)}: {calls[at - 1]}")
        goes_on(night, 3, env=Faults(night).kill(at, how=how))
        is_dead(night)
        goes_on(night, 3)
        night.overnight("loop", "wait")
        assert len(is_at_rest(night, before)) >= 3


@pytest.mark.parametrize("proposer", ["search", "command", "two slots"])
def test_forty_deaths_in_one_night(make_lab, proposer: str) -> None:
    """Each runner dies after some dozens of calls, also while it takes over from the one before."""
    random_of = chance(proposer)
    lab = make_lab()
    faults = Faults(lab)
    before = Seen(lab)
    options = ["--agent", counting(lab)] if proposer == "command" else []
    options += ["--slots", "2"] if proposer == "two slots" else []
    deaths = 0
    while deaths < 40:
        at = random_of.randrange(1, 250)
        env = faults.kill(at, how=random_of.choice(["kill", "kill", "tear"]))
        lab.overnight("loop", "start", "--experiments", "1000", *options, code=None, env=env)
        is_dead(lab)
        deaths += 1
    lab.overnight("loop", "start", "--experiments", "1000", *options)
    lab.overnight("loop", "stop")
    lab.overnight("loop", "wait")
    found = is_at_rest(lab, before)
    print(f"{deaths} deaths, {len(found)} experiments")
    assert len(found) >= 5


def test_whatever_runs_is_killed(make_lab) -> None:
    """Runner, shim, candidate, proposer and git, by chance and from outside."""
    random_of = chance("whatever")
    lab = make_lab()
    lab.program(run=f"python3 -S train.py {lab.gate} 0.005", crashes=1000)
    lab.commit()
    before = Seen(lab)
    agent = counting(lab)
    killed: dict[str, int] = {}
    goals = {"runner": " runner", "shim": " shim ", "candidate": "train.py", "proposer": "proposer.py", "git": "git "}
    lab.overnight("loop", "start", "--experiments", "1000", "--agent", agent)
    while sum(killed.values()) < 60:
        what = random_of.choice(list(goals))
        found = [pid for pid, line in lab.place.processes().items() if goals[what] in line and " loop " not in line]
        if found:
            try:
                os.kill(random_of.choice(found), signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed[what] = killed.get(what, 0) + 1
        if lab.status()["state"] == "idle":
            lab.overnight("loop", "start", "--experiments", "1000", "--agent", agent, code=None)
    lab.overnight("loop", "start", "--experiments", "1000", "--agent", agent, code=None)
    lab.overnight("loop", "stop")
    lab.overnight("loop", "wait", code=None)
    found = is_at_rest(lab, before)
    print(f"killed {killed}, {len(found)} experiments")
    assert killed.keys() >= {"runner", "shim", "candidate", "proposer"}
