"""The runner is killed at any moment: nothing is lost, nothing counts twice, nothing is left behind."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from labs import Lab, alive
from places import until


def test_killed_in_the_middle_of_a_run(lab: Lab) -> None:
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "4", "--seed", "1")
    lab.go(0)
    lab.has_started(1)
    lab.kill_runner()
    # The run goes on without a runner, and the next one adopts it rather than repeating it.
    lab.overnight("loop", "resume")
    lab.go()
    lab.overnight("loop", "wait")
    lab.is_sound(4)
    assert lab.started() == [0, 1, 2, 3], "a run was repeated"


def test_a_run_that_ends_while_there_is_no_runner_is_kept(lab: Lab) -> None:
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "3", "--seed", "2")
    lab.go(0)
    lab.has_started(1)
    lab.kill_runner()
    lab.go()
    cache = lab.place.path / "cache"
    until(lambda: len(list(cache.rglob("end.json"))) >= 2, "the orphaned run ends by itself")
    lab.overnight("loop", "resume")
    lab.overnight("loop", "wait")
    lab.is_sound(3)
    assert lab.started() == [0, 1, 2]


def test_killed_in_the_middle_of_a_proposal(lab: Lab) -> None:
    calls = lab.place.path / "calls"
    agent = lab.proposer(
        f"""
        import json, os, sys, time
        brief = json.load(sys.stdin)
        with open({str(calls)!r}, "a") as file:
            file.write(f"{{os.getpid()}}\\n")
        if len(open({str(calls)!r}).read().split()) == 1:
            time.sleep(3600)  # the first call never ends by itself
        number = len(brief["experiments"])
        print("EXTRA =", number, file=open("train.py", "a"))
        print(json.dumps({{"hypothesis": f"try {{number}}"}}))
        """
    )
    lab.overnight("loop", "start", "--experiments", "3", "--agent", agent)
    until(calls.exists, "the proposer was asked")
    asked = int(until(lambda: calls.read_text().split(), "it has said who it is")[0])
    lab.kill_runner()
    lab.overnight("loop", "resume")
    lab.overnight("loop", "wait")
    lab.is_sound(3)
    until(lambda: not alive(asked), "the orphaned proposer was ended")


@pytest.mark.parametrize("moment", ["judged", "run_ended", "proposed", "recorded"])
def test_killed_right_after_an_event(lab: Lab, moment: str) -> None:
    """`judged` is what the append to git follows at once, so most of these kills fall into an append."""
    lab.overnight("loop", "start", "--experiments", "8", "--seed", "11")
    kills = 0
    for wanted in range(1, 6):
        pid = lab.runner_or_none()
        deadline = time.monotonic() + 60
        while pid and lab.count(moment) < wanted and alive(pid) and time.monotonic() < deadline:
            pass
        if pid and alive(pid):
            os.kill(pid, signal.SIGKILL)
            kills += 1
            until(lambda: not alive(pid), "the killed runner is gone")
        lab.overnight("loop", "resume", code=None)
    lab.overnight("loop", "wait")
    assert kills >= 3, "the runner was rarely hit"
    lab.is_sound(8)


def test_twenty_kills_in_one_night(make_lab) -> None:
    """At random moments. The seed is printed, so that a failure can be tried again."""
    seed = int(os.environ.get("TEST_SEED", random.randrange(1 << 32)))
    print(f"TEST_SEED={seed}")
    chance = random.Random(seed)
    lab = make_lab()
    lab.program(run=f"python3 -S train.py {lab.gate} 0.01")
    lab.commit()
    lab.overnight("loop", "start", "--experiments", "15", "--seed", "7")
    kills = 0
    while kills < 20 and (pid := lab.runner_or_none()):
        time.sleep(chance.uniform(0, 0.35))  # the moment is meant to be any
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
            kills += 1
            until(lambda: not alive(pid), "the killed runner is gone")
        again = ["resume"] if kills % 2 else ["start", "--experiments", "15"]
        print(kills, lab.overnight("loop", *again, code=None))
    lab.overnight("loop", "wait")
    print(f"{kills} kills")
    found = lab.is_sound()
    assert len(found) >= 15
    assert kills >= 10


def test_a_lock_that_a_dead_runner_left_in_git(lab: Lab) -> None:
    """A process that is killed while git moves a ref leaves `<ref>.lock`, and git never removes it by itself."""
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "3", "--seed", "4")
    lab.go(0)
    lab.has_started(1)
    lab.kill_runner()
    for ref in ("ledger/main", "best/main"):
        lock = lab.root / f".git/refs/overnight/{ref}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    lab.overnight("loop", "resume")
    lab.go()
    lab.overnight("loop", "wait")
    lab.is_sound(3)


def test_half_a_line_in_the_journal(lab: Lab) -> None:
    """Power fails while a line is being written: what is whole counts, the rest is nothing."""
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "3", "--seed", "4")
    lab.go(0)
    lab.has_started(1)
    lab.kill_runner()
    with (lab.state / "events.jsonl").open("a") as journal:
        journal.write('{"schema":1,"id":"0198')
    lab.overnight("loop", "resume")
    lab.go()
    lab.overnight("loop", "wait")
    lab.is_sound(3)
    assert lab.started() == [0, 1, 2]
