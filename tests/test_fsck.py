"""What must hold of a lab is checked, told in plain words, and mended where nothing can be lost by it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from conftest import fill
from labs import Lab
from places import Place, until


@pytest.fixture
def night(lab: Lab) -> Lab:
    """A lab with some experiments, the last of which may have been discarded."""
    lab.night("--experiments", "4", "--seed", "12")
    return lab


def found(lab: Lab, *args: str, code: int = 0) -> dict[str, list[tuple[str, str]]]:
    """What `fsck` finds: by what was looked at, its state and the sentence."""
    told = lab.json("fsck", *args, code=code)
    assert told["schema"] == 1 and told["sound"] == (code == 0)
    checks: dict[str, list[tuple[str, str]]] = {}
    for check in told["checks"]:
        checks.setdefault(check["what"], []).append((check["state"], check["found"]))
    return checks


def state(checks: dict[str, list[tuple[str, str]]], what: str) -> str:
    return checks[what][0][0]


def age(path: Path) -> None:
    """Makes a file old."""
    then = time.time() - 60
    os.utime(path, (then, then))


def test_a_lab_at_rest_is_sound(night: Lab) -> None:
    best = night.status()["best"]["number"]
    said = night.overnight("fsck").out
    cache = night.place.path
    lines = [line.replace(str(cache), "/place") for line in said.splitlines()]
    number = [e["event"] for e in night.events()]
    assert lines == [
        "ok  objects         everything that 3 refs hold on to is there",
        "ok  ledger main     4 experiments and 2 events can be read",
        "ok  candidates main each is held on to by the ledger, and changes only what its program let it change",
        "ok  branch main     autoresearch/main is at the best candidate",
        f"ok  best main       it is experiment {best}, which was kept",
        f"ok  journal         {len(number)} events, and the ledgers have what it has as recorded",
        "ok  runner          none has the lab now",
        "ok  worktrees       1 of the runner's, all in place",
        "ok  locks           none was left behind",
        "ok  state           /place/lab/.git/overnight, for its owner alone",
        "-   runs            4 folders of runs are kept: `overnight gc` frees them",
    ]


def test_a_lab_without_experiments_is_sound(lab: Lab) -> None:
    checks = found(lab)
    assert state(checks, "ledger") == "note" and "loop start" in checks["ledger"][0][1]


def test_a_lab_is_sound_while_its_loop_runs(lab: Lab) -> None:
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "3")
    lab.go(0)
    lab.has_started(1)
    checks = found(lab, "--repair")
    assert "has the lab since" in checks["runner"][0][1]
    assert all(state in ("sound", "note") for those in checks.values() for state, _ in those), checks
    lab.go()
    lab.overnight("loop", "wait")
    lab.is_sound(3)


def test_what_a_killed_process_left_is_mended(night: Lab) -> None:
    lock = night.root / ".git/refs/overnight/ledger/main.lock"
    lock.write_text("")
    age(lock)
    tree = next((night.place.path / "cache/overnight").glob("lab-*/slots/0/tree"))
    (tree / ".git").unlink()
    (night.state / "drafts").mkdir(exist_ok=True)
    (night.state / "drafts/0197f9f5-0000-7000-8000-000000000000.json").write_text("{}")
    night.state.chmod(0o755)
    night.overnight("sql", "SELECT number FROM experiments")
    table = next((night.state / "cache").glob("*.arrow"))
    table.write_text("spoilt")
    before = found(night, code=1)
    assert {what: state(before, what) for what in ("locks", "worktrees", "drafts", "state", "tables")} == {
        "locks": "problem", "worktrees": "problem", "drafts": "note", "state": "problem", "tables": "note"}
    assert lock.exists() and table.exists(), "nothing is changed without being asked to"
    told = night.overnight("fsck", code=1)
    assert "3 things are not as they should be" in told.err and "overnight fsck --repair" in told.err
    after = found(night, "--repair")
    assert {what: state(after, what) for what in ("locks", "worktrees", "drafts", "state", "tables")} == dict.fromkeys(
        ("locks", "worktrees", "drafts", "state", "tables"), "mended")
    again = found(night)
    assert "tables" not in again and "drafts" not in again
    night.night("--experiments", "1", "--seed", "5")
    night.is_sound(5)


def test_a_best_that_lags_is_moved_on(night: Lab) -> None:
    kept = [e for e in night.experiments() if e["status"] == "keep"]
    assert len(kept) > 1, "the test wants a night that found something"
    first, last = kept[0]["candidate"], kept[-1]["candidate"]
    night.git("update-ref", "refs/overnight/best/main", first)
    night.git("update-ref", "refs/heads/autoresearch/main", first)
    lags = found(night)
    assert lags["best main"][0] == (
        "note", f"it is experiment 0, which was kept; the loop builds on experiment {kept[-1]['number']}")
    assert state(found(night, "--repair"), "best main") == "mended"
    assert night.git("rev-parse", "refs/overnight/best/main", "autoresearch/main").split() == [last, last]

    night.git("update-ref", "refs/overnight/best/main", night.git("commit-tree", "-m", "x", "HEAD^{tree}").strip())
    wrong = found(night, code=1)
    assert wrong["best main"][0][0] == "problem" and "no experiment of this clone that was kept" in wrong["best main"][0][1]
    assert state(found(night, "--repair"), "best main") == "mended"

    night.git("branch", "-f", "autoresearch/main", first)
    assert state(found(night, code=1), "branch main") == "problem"
    assert state(found(night, "--repair"), "branch main") == "mended"
    night.git("checkout", "--quiet", "autoresearch/main")
    night.git("commit", "--quiet", "--allow-empty", "-m", "mine")
    diverged = found(night)
    assert state(diverged, "branch main") == "note" and "checked out" in diverged["branch main"][0][1]


def test_an_object_that_is_missing_is_told(night: Lab) -> None:
    blob = night.git("rev-parse", "refs/overnight/ledger/main:experiments").strip()
    path = next(line.split()[-1] for line in night.git("ls-tree", "-r", blob).splitlines() if line.endswith("log.zst"))
    lost = night.git("rev-parse", f"refs/overnight/ledger/main:experiments/{path}").strip()
    (night.root / f".git/objects/{lost[:2]}/{lost[2:]}").unlink()
    checks = found(night, code=1)
    assert state(checks, "objects") == "problem" and lost in checks["objects"][0][1]
    assert any("log.zst is not in the repository" in said for _, said in checks["ledger main"])


def test_a_ledger_that_vanished_is_told(night: Lab) -> None:
    night.git("update-ref", "-d", "refs/overnight/ledger/main")
    checks = found(night, code=1)
    assert checks["journal"][0] == ("problem", "4 experiments that it has as recorded are not in the ledger `main`")


def test_what_a_record_says_is_checked(night: Lab) -> None:
    """A record at another's place, one that is no JSON, a candidate that changes what is locked."""
    one = night.experiments()[1]
    stray = night.git("commit-tree", "-p", one["parent"], "-m", "stray", tree_with(night, one["candidate"]))
    record = night.git("show", f"refs/overnight/ledger/main:{path_of(night, 1)}/record.json")
    spoilt = record.replace(one["candidate"], stray.strip()).replace('"number":1,', '"number":9,')
    put(night, f"{path_of(night, 1)}/record.json", spoilt)
    put(night, f"{path_of(night, 2)}/record.json", "no JSON")
    checks = found(night, code=1)
    said = "\n".join(text for _, text in checks["ledger main"] + checks["candidates main"])
    for words in ("its record is number 9 of", "its record cannot be read", "does not hold on to its candidate",
                  "its candidate changes harness.py, which is locked"):
        assert words in said, said
    assert all(state == "problem" for state, _ in checks["candidates main"])


def path_of(lab: Lab, number: int) -> str:
    paths = lab.git("ls-tree", "-r", "--name-only", "refs/overnight/ledger/main").splitlines()
    return next(p for p in paths if p.endswith(f"/00/00/{number:02}/record.json")).removesuffix("/record.json")


def tree_with(lab: Lab, commit: str) -> str:
    """The tree of a commit with something else in a locked file."""
    script = (f"export GIT_INDEX_FILE=$PWD/.git/spoilt; git read-tree {commit}; blob=$(echo x | git hash-object -w --stdin);"
              " git update-index --cacheinfo 100644,$blob,harness.py; git write-tree; rm $GIT_INDEX_FILE")
    return lab.place.command(["sh", "-c", script], lab.root).out.strip()


def put(lab: Lab, path: str, text: str) -> None:
    """Puts a file into the ledger by hand."""
    script = (f"set -e; export GIT_INDEX_FILE=$PWD/.git/spoilt; git read-tree refs/overnight/ledger/main;"
              f" blob=$(git hash-object -w --stdin); git update-index --add --cacheinfo 100644,$blob,{path};"
              " commit=$(git commit-tree -p refs/overnight/ledger/main -m by-hand $(git write-tree)); rm $GIT_INDEX_FILE;"
              " git update-ref refs/overnight/ledger/main $commit")
    lab.place.command(["sh", "-c", script], lab.root, stdin=text)


def test_a_torn_journal_is_no_loss(night: Lab) -> None:
    with (night.state / "events.jsonl").open("a") as journal:
        journal.write('{"schema":1,"id":"01')
    checks = found(night)
    assert ("note", "its last line was cut off by a crash: the next runner takes it away") in checks["journal"]


def gc(lab: Lab, *args: str) -> dict[str, int]:
    """What `gc` frees: how many of each kind."""
    told = lab.json("gc", *args)
    assert told["bytes"] == sum(row["bytes"] for row in told["freed"])
    return {row["what"]: row["count"] for row in told["freed"]}


def test_gc_frees_what_the_ledger_has(night: Lab) -> None:
    cache = next((night.place.path / "cache/overnight").glob("lab-*"))
    assert "there is nothing to free" in night.overnight("gc").out, "what is new stays"
    would = gc(night, "--keep", "1", "--older", "0", "--dry-run")
    assert would == {"folders of runs": 3, "worktrees of slots": 1}
    assert len(list((cache / "runs").iterdir())) == 4 and (cache / "slots/0/tree").exists()
    before = night.experiments()
    said = night.overnight("gc", "--keep", "1", "--older", "0").out
    assert "folders of runs: 3, " in said and "freed; every experiment is in the ledger" in said
    assert len(list((cache / "runs").iterdir())) == 1 and not (cache / "slots/0").exists()
    assert night.git("worktree", "list").count("\n") == 1
    assert night.experiments() == before
    assert "val_bpb" in night.overnight("log", "0").out
    found(night)
    night.night("--experiments", "1", "--seed", "5")
    night.is_sound(5)


def test_gc_leaves_a_loop_alone(lab: Lab) -> None:
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "3")
    lab.go(0)
    lab.has_started(1)
    cache = next((lab.place.path / "cache/overnight").glob("lab-*"))
    before = sorted(path.name for path in (cache / "runs").iterdir())
    told = lab.json("gc", "--keep", "0", "--older", "0")
    assert "a runner (process" in told["stays"]
    assert sorted(path.name for path in (cache / "runs").iterdir()) == before[1:], "the run that is on stays"
    lab.go()
    lab.overnight("loop", "wait")
    lab.is_sound(3)


def test_gc_of_a_loop_that_was_killed_keeps_what_is_carried_on(lab: Lab) -> None:
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "2")
    lab.go(0)
    lab.has_started(1)
    lab.kill_runner()
    lab.go()
    cache = next((lab.place.path / "cache/overnight").glob("lab-*"))
    last = max((cache / "runs").iterdir())
    until(lambda: (last / "end.json").exists(), "the run ends without its runner")
    gc(lab, "--keep", "0")
    assert last.exists()
    lab.overnight("loop", "resume")
    lab.overnight("loop", "wait")
    lab.is_sound(2)
    assert len(lab.started()) == 2, "nothing was run twice"


def test_gc_of_labs_that_are_gone(place: Place) -> None:
    gone, here = fill(Lab(place, "gone")), fill(Lab(place, "here"))
    for lab in (gone, here):
        lab.night("--experiments", "1")
    shutil.rmtree(gone.root)
    caches = place.path / "cache/overnight"
    assert gc(here, "--all", "--keep", "9") == {}
    assert gc(here, "--all", "--keep", "9", "--older", "0")["caches of labs that are gone"] == 1
    assert [path.name.rsplit("-", 1)[0] for path in caches.glob("*-????????")] == ["here"]
