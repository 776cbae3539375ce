"""Two machines, a colleague, a remote between them: ledgers that are shared and merged by plain git."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from conftest import fill
from kernels import kernel
from labs import Lab, Seen
from places import Place, until


class Clone(Lab):
    """A clone of a remote, with a person of its own."""

    def __init__(self, place: Place, url: str, name: str, person: str) -> None:
        self.place = place
        self.root = place.path / name
        self.gate = place.path / f"{name}-gate"
        self.gate.mkdir()
        place.command(["git", "clone", "--quiet", url, str(self.root)], place.path)
        self.git("config", "user.name", person)


@pytest.fixture
def hub(place: Place) -> Path:
    """A bare repository that everybody can reach."""
    path = place.path / "hub.git"
    place.command(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(path)], place.path)
    return path


@pytest.fixture
def ada(place: Place, hub: Path) -> Lab:
    """Ada's lab, whose origin is the hub."""
    lab = fill(Lab(place, "ada"))
    lab.git("remote", "add", "origin", f"file://{hub}")
    lab.git("push", "--quiet", "origin", "main")
    return lab


def clone(place: Place, hub: Path, person: str = "Bob Kahn") -> Clone:
    return Clone(place, f"file://{hub}", person.split()[0].lower(), person)


def tree(lab: Lab, tag: str = "main") -> str:
    return lab.git("rev-parse", f"refs/overnight/ledger/{tag}^{{tree}}").strip()


def shown(place: Place, text: str) -> str:
    """What was said, without what differs from run to run."""
    text = text.replace(str(place.path), "/place")
    return re.sub(r"\d+(\.\d+)? (bytes|kB|MB)", "SIZE", text).strip()


def test_a_colleague_has_the_whole_night(ada: Lab, place: Place, hub: Path) -> None:
    ada.night("--experiments", "4", "--seed", "1")
    night = ada.experiments()
    ada.overnight("note", "1", "worth a second look")
    before = Seen(ada)
    would = ada.overnight("share", "--dry-run")
    assert place.command(["git", "for-each-ref", "refs/overnight"], hub).out == "", "a dry run sends nothing"
    assert "main: 4 experiments and" in would.out and "would be sent to origin" in would.out
    said = ada.overnight("share")
    assert re.sub(r"and \d+ events", "and N events", shown(place, said.out)) == (
        "main: 4 experiments and N events with 4 candidates, SIZE sent to origin\n"
        "Shared are the logs with all that runs printed, the names of people and machines, and each candidate's whole "
        "tree: uncommitted changes of tracked files too, if there were any when the loop began.\n"
        "For a colleague: git clone file:///place/hub.git hub && cd hub && overnight merge origin"
    )
    assert shown(place, ada.overnight("share").out).startswith("main: origin has everything\nFor a colleague")
    ada.worktree_is(before)
    assert "remote." not in ada.git("config", "--list", "--local").replace("remote.origin.url", "").replace(
        "remote.origin.fetch", ""), "nobody's git configuration is changed"

    bob = clone(place, hub)
    assert bob.experiments() == []
    before = Seen(bob)
    said = bob.overnight("merge", "origin")
    best = min((e for e in night if e["status"] == "keep"), key=lambda e: e["value"])["number"]
    assert re.sub(r"and \d+ events", "and N events", said.out.strip()) == (
        "main: 4 experiments and N events from origin\n"
        "  ada/0 to ada/3 (4)\n"
        f"`overnight experiment ada/{best}` shows their best, `overnight run --from ada/{best}` tries it here, "
        "`overnight loop start` begins with a baseline of your own."
    )
    bob.worktree_is(before)
    theirs = bob.experiments()
    assert [{k: v for k, v in e.items() if k != "peer"} for e in theirs] == ada.experiments()
    assert {e["peer"] for e in theirs} == {"ada"}

    # Everything can be looked at, by name; by the number alone while nothing was run here.
    page = bob.overnight("experiment", "ada/1").out
    assert page.startswith("Experiment ada/1: ") and "Ada Lovelace: worth a second look" in page
    assert "val_bpb" in bob.overnight("log", "ada/2").out
    assert "train.py" in bob.overnight("diff", "ada/1").out
    assert "train.py" in bob.overnight("diff", "ada/1", "ada/2").out
    assert bob.json("metrics", "ada/3")["columns"]["step"] == list(range(8))
    assert bob.overnight("experiment", "2").out.startswith("Experiment ada/2: ")
    assert "ada/0" in bob.overnight("experiments").out
    rows = bob.json("sql", "SELECT DISTINCT peer FROM experiments")
    assert rows == [{"peer": "ada"}]
    joined = bob.json("sql", "SELECT e.number FROM metrics m JOIN experiments e ON e.number = m.experiment "
                             "AND e.peer = m.peer WHERE m.step = 7 ORDER BY e.number")
    assert [row["number"] for row in joined] == [0, 1, 2, 3]
    bob.overnight("note", "ada/1", "agreed")
    wrong = bob.overnight("experiment", "eve/1", code=1)
    assert "no clone is called `eve`" in wrong.err and "there are ada" in wrong.err
    refused = bob.overnight("keep", "ada/2", code=1)
    assert "run --from ada/2" in refused.err


def test_a_colleague_runs_on(ada: Lab, place: Place, hub: Path) -> None:
    ada.night("--experiments", "5", "--seed", "12")
    ada.overnight("share")
    bob = clone(place, hub)
    bob.overnight("merge")
    assert bob.status()["best"] is None, "nothing was run here yet"
    best = bob.json("best")["experiment"]
    assert best["writer"] == ada.experiments()[0]["writer"]

    # A claim is run again before anything builds on it: the baseline of this clone first.
    bob.overnight("run", "--from", f"ada/{best['number']}")
    own = [e for e in bob.experiments() if "peer" not in e]
    assert [(e["number"], e["status"]) for e in own] == [(0, "keep"), (1, "keep")]
    assert own[1]["value"] == best["value"] and own[1]["hypothesis"].startswith(f"ada/{best['number']} again: ")
    assert bob.git("rev-parse", "refs/overnight/best/main").strip() == own[1]["candidate"]
    assert bob.git("rev-parse", f"{own[1]['candidate']}^{{tree}}") == bob.git("rev-parse", f"{best['candidate']}^{{tree}}")

    bob.night("--experiments", "2", "--seed", "7")
    assert [e["number"] for e in bob.experiments() if "peer" not in e] == [0, 1, 2, 3]
    assert bob.overnight("experiment", "1").out.startswith("Experiment 1: ")
    assert bob.status()["best"]["number"] in (1, 2, 3)
    assert "3 experiments, " in bob.overnight("plot", "progress").out, "a chart is of one clone's numbers"
    rows = bob.json("sql", "SELECT experiment FROM constants WHERE name = 'LR' ORDER BY experiment")
    assert [row["experiment"] for row in rows] == [0, 1, 2, 3]
    table = bob.overnight("experiments").out
    assert table.index("ada/4") < table.index(" 3  ")
    assert [row["number"] for row in bob.json("sql", "SELECT number FROM experiments WHERE peer IS NULL")] == [0, 1, 2, 3]

    # And back: the remote has moved on for Ada, who has moved on as well.
    bob.overnight("share")
    ada.night("--experiments", "1", "--seed", "3")
    before = ada.git("rev-parse", "refs/overnight/best/main", "autoresearch/main")
    said = ada.overnight("share").out
    assert "origin has something of `main` that is not here: merging it first" in said
    assert "main: 4 experiments and" in said and "came from origin first" in said
    assert ada.git("rev-parse", "refs/overnight/best/main", "autoresearch/main") == before, "a merge moves no best"
    assert "bob/3" in ada.overnight("experiments").out
    assert "main: origin has nothing new" in ada.overnight("merge").out
    bob.overnight("merge", "origin")
    assert tree(bob) == tree(ada)
    for lab in (ada, bob):
        lab.git("fsck", "--strict", "--no-dangling")


def test_two_machines_merge_in_either_order(ada: Lab, place: Place, hub: Path) -> None:
    ada.overnight("share", code=1)  # There is nothing yet.
    bob, eve = clone(place, hub), clone(place, hub, "Eve Maler")
    labs = [ada, bob, eve]
    for seed, lab in enumerate(labs):
        lab.night("--experiments", str(2 + seed), "--seed", str(seed))
    # Each from each, by path, in another order everywhere.
    for lab, others in ((ada, (bob, eve)), (bob, (eve, ada)), (eve, (bob, ada))):
        for other in others:
            lab.overnight("merge", str(other.root), "--tag", "main")
    assert tree(ada) == tree(bob) == tree(eve)
    ids = [sorted(e["id"] for e in lab.experiments()) for lab in labs]
    assert ids[0] == ids[1] == ids[2] and len(ids[0]) == 9
    assert "bob/2" in eve.overnight("experiments").out and "eve/3" in bob.overnight("experiments").out


def test_what_cannot_be_reached_is_told_without_passwords(ada: Lab) -> None:
    ada.night("--experiments", "1")
    secret = "https://ada:s3cret@127.0.0.1:9/lab.git"
    ada.git("remote", "add", "far", secret)
    for command in (["share", "far"], ["merge", "far"], ["share", secret]):
        said = ada.overnight(*command, code=1)
        assert "s3cret" not in said.text and "127.0.0.1:9/lab.git" in said.text, said
    unknown = ada.overnight("share", "nowhere", code=2)
    assert "`nowhere` is neither a remote of this repository nor the address of one" in unknown.err
    assert "There are: far, origin." in unknown.err
    nothing = ada.overnight("merge", "origin", code=1)
    assert "origin has no experiments" in nothing.err
    missing = ada.overnight("merge", "origin", "--tag", "mar5", code=1)
    assert "origin has no ledger `mar5`" in missing.err


def test_every_line_of_research_or_one(ada: Lab, place: Place, hub: Path) -> None:
    ada.night("--experiments", "1")
    ada.night("--experiments", "2", "--tag", "mar5")
    said = ada.json("share", "--all", "--branch")
    assert [(row["tag"], row["experiments"], row["first"]) for row in said["tags"]] == [("main", 1, True), ("mar5", 2, True)]
    assert all(row["bytes"] > 0 for row in said["tags"])
    refs = place.command(["git", "for-each-ref", "--format=%(refname)"], hub).out.split()
    assert refs == ["refs/heads/autoresearch/main", "refs/heads/autoresearch/mar5", "refs/heads/main",
                    "refs/overnight/best/main", "refs/overnight/best/mar5",
                    "refs/overnight/ledger/main", "refs/overnight/ledger/mar5"]
    bob = clone(place, hub)
    merged = bob.json("merge", "--tag", "mar5")
    assert [(row["tag"], row["experiments"]) for row in merged["tags"]] == [("mar5", 2)]
    assert len(bob.experiments()) == 2, "nothing was run here: the newest line of research is meant"
    bob.overnight("merge", "--tag", "main", "--into", "ada")
    assert len(bob.json("experiments", "--tag", "ada")["experiments"]) == 1


def test_a_copied_clone_has_numbers_of_its_own(ada: Lab, place: Place) -> None:
    ada.night("--experiments", "2", "--seed", "1")
    copy = Lab.__new__(Lab)
    copy.place, copy.root, copy.gate = place, place.path / "copy", ada.gate
    shutil.copytree(ada.root, copy.root, symlinks=True)
    copy.night("--experiments", "2", "--seed", "9")
    found = copy.experiments()
    assert [(e.get("peer"), e["number"]) for e in found] == [("ada", 0), ("ada", 1), (None, 0), (None, 1)]
    ada.night("--experiments", "1", "--seed", "2")
    ada.overnight("merge", str(copy.root))
    copy.overnight("merge", str(ada.root))
    assert tree(ada) == tree(copy)
    assert len(ada.experiments()) == 5


def test_copies_that_both_went_on_are_told(ada: Lab, place: Place) -> None:
    ada.night("--experiments", "1", "--seed", "1")
    copy = Lab.__new__(Lab)
    copy.place, copy.root, copy.gate = place, place.path / "copy", ada.gate
    shutil.copytree(ada.root, copy.root, symlinks=True)
    # As of a version that did not look.
    (copy.root / ".git/overnight/writer.home").unlink()
    for lab, seed in ((ada, 1), (copy, 2)):
        lab.night("--experiments", "1", "--seed", str(seed))
    before = tree(ada)
    refused = ada.overnight("merge", str(copy.root), code=1)
    assert "both ledgers have an experiment 1 of the clone" in refused.err and "--into NAME" in refused.err
    assert tree(ada) == before
    ada.overnight("merge", str(copy.root), "--tag", "main", "--into", "theirs")
    assert len(ada.json("experiments", "--tag", "theirs")["experiments"]) == 2


def test_a_ledger_that_is_not_whole_is_not_merged(ada: Lab, place: Place, hub: Path) -> None:
    ada.night("--experiments", "1")
    ada.overnight("share")
    bob = clone(place, hub)
    bob.overnight("merge")
    before = tree(bob)
    # Somebody puts a record where it does not belong.
    script = """
    set -e
    tip=$(git rev-parse refs/overnight/ledger/main)
    export GIT_INDEX_FILE=$PWD/spoilt
    git read-tree $tip
    record=$(git ls-files '*/record.json')
    git update-index --add --cacheinfo 100644,$(git rev-parse :$record),experiments/eve/00/00/07/record.json
    commit=$(git commit-tree -p $tip -m spoilt $(git write-tree))
    git update-ref refs/overnight/ledger/main $commit
    """
    place.command(["sh", "-c", script], hub)
    refused = bob.overnight("merge", code=1)
    assert "experiments/eve/00/00/07 in the ledger `main` of origin is malformed: it has no log.zst" in refused.err
    assert "nothing of it was merged" in refused.err
    assert tree(bob) == before


def test_a_remote_that_moves_meanwhile_is_merged_and_tried_again(ada: Lab, place: Place, hub: Path) -> None:
    ada.night("--experiments", "1", "--seed", "1")
    bob = clone(place, hub)
    bob.night("--experiments", "2", "--seed", "2")
    bob.overnight("share")
    # What Bob has sent comes to light between Ada's look and her push.
    place.command(["git", "update-ref", "refs/hidden", "refs/overnight/ledger/main"], hub)
    place.command(["git", "update-ref", "-d", "refs/overnight/ledger/main"], hub)
    hook = hub / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\nunset GIT_QUARANTINE_PATH\n"
                    "git update-ref refs/overnight/ledger/main refs/hidden 0000000000000000000000000000000000000000 || true\n")
    hook.chmod(0o755)
    said = ada.overnight("share").out
    assert "origin moved while it was sent to: trying again" in said
    assert "merging it first" in said and "2 experiments" in said
    assert len(ada.experiments()) == 3
    assert place.command(["git", "rev-parse", "refs/overnight/ledger/main"], hub).out == ada.git(
        "rev-parse", "refs/overnight/ledger/main")


def test_what_a_server_refuses_is_told(ada: Lab, hub: Path) -> None:
    ada.night("--experiments", "1")
    hook = hub / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'only the lead may push here'\nexit 1\n")
    hook.chmod(0o755)
    refused = ada.overnight("share", code=1)
    assert "pre-receive hook declined" in refused.err and "only the lead may push here" in refused.err


def test_in_a_notebook(ada: Lab, place: Place, hub: Path) -> None:
    ada.night("--experiments", "1")
    with kernel(ada) as k:
        sent = k.execute("%share")
        assert sent.status == "ok" and "main: 1 experiment and" in sent.text
        nothing = k.execute("%merge origin")
        assert nothing.status == "ok" and "main: origin has nothing new" in nothing.text
    bob = clone(place, hub)
    with kernel(bob) as k:
        assert "1 experiment and" in k.execute("%merge").text
        assert "Experiment ada/0: " in k.execute("%experiment ada/0").text


def test_a_share_that_hangs_can_be_interrupted(ada: Lab, place: Place, hub: Path) -> None:
    ada.night("--experiments", "1")
    started, go = place.path / "hook-started", place.path / "hook-go"
    hook = hub / "hooks/pre-receive"
    hook.write_text(f"#!/bin/sh\ntouch {started}\nwhile [ ! -e {go} ]; do sleep 0.02; done\n")
    hook.chmod(0o755)
    sharing = ada.spawn("share", start_new_session=True)
    until(started.exists, "the server has what was sent")
    sharing.send_signal(2)
    said = sharing.communicate(timeout=60)
    assert sharing.returncode == 6, said
    go.touch()
    until(lambda: not place.processes(), "nothing is left of it")
    hook.unlink()
    ada.overnight("share")
    assert "origin has everything" in ada.overnight("share").out
