"""What the machine and the person do to a night: each has a defined behaviour, and loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable

import pytest

from faulty import Faults, counting, is_at_rest
from labs import Lab, Seen, alive
from places import until


@pytest.mark.parametrize("where", ["journal", "git", "worktree", "runs"])
@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT", "EROFS", "EIO"])
def test_a_disk_that_cannot_be_written(lab: Lab, where: str, error: str) -> None:
    """The loop pauses, says why, keeps what runs, and goes on by itself once the disk is mended."""
    cache = lab.place.path / "cache"
    path = {"journal": lab.state, "git": lab.root / ".git/objects", "worktree": cache, "runs": cache}[where]
    faults = Faults(lab)
    roles = {"worktree": "git", "runs": "runner"}.get(where, "runner,git")
    lab.hold()
    before = Seen(lab)
    lab.overnight("loop", "start", "--experiments", "5", "--seed", "3", env=faults.strike(error, roles, path=path))
    lab.go(0)
    lab.has_started(1)
    faults.begin()
    lab.go(1)
    paused = until(lambda: (status := lab.status())["state"] == "paused" and status, "the loop pauses")
    assert "loop resume" in paused["problem"] and str(lab.place.path) in paused["problem"], paused
    word = {"ENOSPC": "the disk is full", "EDQUOT": "quota", "EROFS": "read-only", "EIO": "the disk cannot be"}[error]
    assert word in paused["problem"], paused
    assert paused["pid"], "the runner lives"
    assert len(lab.experiments()) <= 2
    lab.go()
    faults.end()
    lab.overnight("loop", "wait")
    assert len(is_at_rest(lab, before)) == 5
    assert lab.started().count(1) == 1, "the run that was on was not lost"
    assert lab.status()["problem"] is None


def test_a_run_whose_end_cannot_be_written(lab: Lab) -> None:
    """The shim has taken the room for it before, and where even that does not help, tries again."""
    faults = Faults(lab)
    lab.hold()
    env = faults.strike("ENOSPC", "shim", calls="open,write,rename", path=lab.place.path / "cache")
    lab.overnight("loop", "start", "--experiments", "3", "--seed", "3", env=env)
    lab.go(0)
    lab.has_started(1)
    faults.begin()
    lab.go()
    run = int((lab.gate / "started").read_text().splitlines()[-1].split()[1])
    until(lambda: not alive(run), "the candidate has ended")
    assert len(lab.happened("run_ended")) == 1
    faults.end()
    lab.overnight("loop", "wait")
    found = is_at_rest(lab)
    assert len(found) == 3 and lab.started() == [0, 1, 2]
    assert found[1]["value"], "what it printed was read all the same"


def test_a_log_that_cannot_be_written(lab: Lab) -> None:
    """A run goes on, its metrics are read as it prints them, and its log says that something is missing."""
    faults = Faults(lab)
    lab.hold()
    env = faults.strike("ENOSPC", "shim", calls="write", path="/log")
    lab.overnight("loop", "start", "--experiments", "2", "--seed", "3", env=env)
    lab.go(0)
    lab.has_started(1)
    faults.begin()
    lab.go()
    lab.overnight("loop", "wait")
    _, second = is_at_rest(lab)
    assert second["value"] and second["runs"][0]["exit"] == "0"


def test_stopped_while_the_disk_is_full(lab: Lab) -> None:
    faults = Faults(lab)
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "5", "--seed", "3",
                  env=faults.strike("ENOSPC", path=lab.root / ".git"))
    lab.go(0)
    lab.has_started(1)
    faults.begin()
    lab.go()
    until(lambda: lab.status()["state"] == "paused", "the loop pauses")
    lab.overnight("loop", "stop")
    faults.end()
    lab.overnight("loop", "wait", code=None)
    until(lambda: lab.runner_or_none() is None, "the runner ends")
    lab.overnight("loop", "start", "--experiments", "3", "--seed", "3")
    lab.overnight("loop", "wait")
    is_at_rest(lab)
    assert lab.started().count(1) == 1


@pytest.mark.parametrize("error", ["ENOLCK", "EIO"])
def test_a_file_system_without_locks(lab: Lab, error: str) -> None:
    faults = Faults(lab)
    faults.begin()
    done = lab.overnight("loop", "start", "--experiments", "1", code=1, env=faults.strike(error, calls="lock"))
    assert "cannot lock" in done.err and "runner.lock" in done.err, done
    if error == "ENOLCK":
        assert "lockd" in done.err, done
    assert lab.started() == []


@pytest.mark.parametrize("what", ["removed", "replaced"])
def test_a_lock_that_is_lost(lab: Lab, what: str) -> None:
    """The runner notices and stops; the one that takes over adopts its run."""
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "3", "--seed", "3")
    lab.go(0)
    lab.has_started(1)
    first = lab.runner()
    lock = lab.state / "runner.lock"
    if what == "replaced":
        lock.rename(lab.state / "runner.lock.away")
        lock.write_text("")
    else:
        lock.unlink()
    until(lambda: not alive(first), "the runner has stopped")
    assert "no longer holds" in (lab.state / "runner.err").read_text()
    journal = (lab.state / "events.jsonl").read_bytes()
    lab.overnight("loop", "resume")
    assert lab.runner() != first
    assert (lab.state / "events.jsonl").read_bytes().startswith(journal)
    lab.go()
    lab.overnight("loop", "wait")
    is_at_rest(lab)
    assert lab.started() == [0, 1, 2], "a run was repeated"


def test_a_runner_on_another_machine(lab: Lab) -> None:
    lab.state.mkdir(exist_ok=True)
    holder = {"pid": 7, "start": 1, "host": "gpu-box", "boot": "x", "since": "2026-01-01T00:00:00Z"}
    lock = lab.state / "runner.lock"
    lock.write_text(json.dumps(holder))
    done = lab.overnight("loop", "start", "--experiments", "1", code=5)
    assert "gpu-box" in done.err and "hint" in done.err, done
    old = time.time() - 3600
    os.utime(lock, (old, old))
    lab.night("--experiments", "1")
    is_at_rest(lab)


def jump(lab: Lab, *hours: str, then: Callable[[Faults], None]) -> None:
    """A night whose clocks are moved while experiment 1 runs."""
    faults = Faults(lab)
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "5", "--seed", "3", *hours, env=faults.clock())
    lab.go(0)
    lab.has_started(1)
    then(faults)
    lab.go()


@pytest.mark.parametrize("hours", [10, -10])
def test_a_clock_that_is_set(lab: Lab, hours: int) -> None:
    """`--hours` is time that passes: setting the clock neither ends a night nor makes it longer."""
    jump(lab, "--hours", "8", then=lambda faults: faults.shift(wall=hours * 3600))
    lab.overnight("loop", "wait")
    found = is_at_rest(lab)
    assert len(found) == 5 and {each["status"] for each in found} <= {"keep", "discard"}
    assert "did its 5" in lab.status()["ended"] or "5 experiments" in lab.status()["ended"]
    times = [event["at"] for event in lab.events()]
    assert times == sorted(times), "events are in the order in which they happened"
    ids = [event["id"] for event in lab.events()]
    assert len(set(ids)) == len(ids)


def test_a_clock_that_is_set_back_between_two_runners(lab: Lab) -> None:
    faults = Faults(lab)
    env = faults.clock()
    faults.shift(wall=3 * 3600)
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "6", "--seed", "3", env=env)
    lab.go(0, 1, 2)
    lab.has_started(3)
    lab.kill_runner()
    faults.shift(wall=-3 * 3600)
    lab.overnight("loop", "resume", env=env)
    lab.go()
    lab.overnight("loop", "wait")
    assert len(is_at_rest(lab)) == 6
    times = [event["at"] for event in lab.events()]
    assert times == sorted(times)


def test_a_laptop_that_sleeps(lab: Lab) -> None:
    """A run's timeout does not count the time that the machine slept; a loop's `--hours` does."""
    def sleep(faults: Faults) -> None:
        faults.shift(wall=9 * 3600, boot=9 * 3600)

    jump(lab, "--hours", "8", then=sleep)
    lab.overnight("loop", "wait")
    found = is_at_rest(lab)
    assert len(found) == 2, "the night is over, and what ran is recorded"
    assert found[1]["status"] in ("keep", "discard") and found[1]["runs"][0]["exit"] == "0"
    assert "time is over" in lab.status()["ended"]


def test_git_gc_in_the_middle(lab: Lab) -> None:
    """Candidates that wait for their run, and the commit that a dirty checkout was taken as, stay."""
    lab.write("harness.py", (lab.root / "harness.py").read_text() + "# not committed\n")
    before = Seen(lab, files=False)
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "6", "--agent", counting(lab))
    for number in range(6):
        lab.has_started(number)
        if 0 < number < 5:
            until(lambda: any(e["number"] == number + 1 for e in lab.happened("proposing")), "one is made ahead")
        lab.git("reflog", "expire", "--expire=now", "--all")
        lab.git("gc", "--quiet", "--prune=now")
        if number == 2:
            lab.kill_runner()
            lab.git("gc", "--quiet", "--prune=now")
            lab.overnight("loop", "resume")
        lab.go(number)
    lab.overnight("loop", "wait")
    assert len(is_at_rest(lab)) == 6
    assert Seen(lab, files=False).facts["status"] == before.facts["status"]


def commits(lab: Lab) -> None:
    lab.write("notes.txt", "what I think\n")
    lab.git("add", "notes.txt")
    lab.git("commit", "--quiet", "-m", "Notes")


def rebases(lab: Lab) -> None:
    lab.git("switch", "--quiet", "-c", "side", "HEAD")
    commits(lab)
    lab.git("switch", "--quiet", "main")
    lab.write("other.txt", "x\n")
    lab.git("add", "other.txt")
    lab.git("commit", "--quiet", "-m", "Other")
    lab.git("rebase", "--quiet", "main", "side")


def switches(lab: Lab) -> None:
    lab.git("switch", "--quiet", "--orphan", "empty")
    lab.git("switch", "--quiet", "main")
    lab.git("switch", "--quiet", "-c", "elsewhere")


def stashes(lab: Lab) -> None:
    lab.write("harness.py", (lab.root / "harness.py").read_text() + "# mine\n")
    lab.git("stash")


def deletes_the_branch(lab: Lab) -> None:
    lab.git("branch", "-D", "autoresearch/main")


def deletes_the_best(lab: Lab) -> None:
    lab.git("update-ref", "-d", "refs/overnight/best/main")


def prunes_worktrees(lab: Lab) -> None:
    lab.git("worktree", "prune", "--expire=now")


def removes_worktrees(lab: Lab) -> None:
    for tree in (lab.place.path / "cache").rglob("slots/*/tree"):
        shutil.rmtree(tree)


def packs_refs(lab: Lab) -> None:
    lab.git("pack-refs", "--all")


@pytest.mark.parametrize("does", [commits, rebases, switches, stashes, deletes_the_branch, deletes_the_best,
                                  prunes_worktrees, removes_worktrees, packs_refs])
def test_a_person_at_work(lab: Lab, does: Callable[[Lab], None]) -> None:
    """In the middle of experiment 2, and no line of what the person did is changed by the loop."""
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "5", "--seed", "3")
    lab.go(0, 1)
    lab.has_started(2)
    does(lab)
    seen = Seen(lab)
    lab.go()
    lab.overnight("loop", "wait")
    assert len(is_at_rest(lab, seen)) == 5


def test_a_repository_that_is_moved(lab: Lab) -> None:
    """The runner stops, as its lock is not where it was; from the new place the night goes on."""
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "4", "--seed", "3")
    lab.go(0)
    lab.has_started(1)
    first = lab.runner()
    moved = lab.root.with_name("moved")
    lab.root.rename(moved)
    lab.root = moved
    until(lambda: not alive(first), "the runner has stopped")
    lab.go()
    lab.overnight("loop", "resume")
    lab.overnight("loop", "wait")
    # The old place's cache, where a shim may have been killed while it wrote, is nobody's until `gc` removes it.
    for old in (lab.place.path / "cache/overnight").glob("lab-*"):
        shutil.rmtree(old)
    assert len(is_at_rest(lab)) == 4
