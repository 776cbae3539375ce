"""What is printed in the wild is read. What an older version wrote is read and gone on from; what a newer one wrote is
kept, or refused in a sentence.

`formats/1` is a lab as the first version of these formats left it: four experiments, a note and a steering. It is
never made anew: where a format changes, another folder joins it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from faulty import is_at_rest
from labs import Lab
from places import BINARY, Place, until

OLD = Path(__file__).parent / "formats/1"


@pytest.fixture
def old(place: Place) -> Lab:
    """The lab of `formats/1`."""
    lab = Lab(place)
    lab.git("fetch", "--quiet", "--update-head-ok", str(OLD / "ledger.bundle"), "+refs/*:refs/*")
    lab.git("reset", "--quiet", "--hard", "main")
    lab.state.mkdir()
    for name in ("events.jsonl", "writer", "loop.json"):
        shutil.copy(OLD / name, lab.state / name)
    return lab


def test_an_old_lab_is_read(old: Lab) -> None:
    found = old.experiments()
    assert [each["number"] for each in found] == [0, 1, 2, 3]
    assert [each["status"] for each in found].count("keep") >= 1
    assert all(each["value"] for each in found)
    assert old.json("metrics", "3")["columns"]["loss"], "its curves"
    assert "val_bpb:" in old.overnight("log", "3").out, "its logs"
    assert "a note" in old.overnight("experiment", "1").out
    status = old.status()
    assert (status["state"], status["experiments"]) == ("idle", 4)


def test_an_old_lab_is_gone_on_from(old: Lab) -> None:
    journal = (old.state / "events.jsonl").read_bytes()
    ledger = old.git("rev-parse", "refs/overnight/ledger/main").strip()
    old.night("--experiments", "2", "--seed", "9")
    found = is_at_rest(old)
    assert [each["number"] for each in found] == list(range(len(found))) and len(found) > 4
    assert (old.state / "events.jsonl").read_bytes().startswith(journal), "what was written is left as it was"
    old.git("merge-base", "--is-ancestor", ledger, "refs/overnight/ledger/main")


def newer_line(**fields: object) -> bytes:
    entry = {"schema": 1, "id": "01a218a6-0000-7000-8000-000000000001", "at": "2026-11-26T16:00:00Z",
             "author": "Ada Lovelace", "tag": "main"} | fields
    return json.dumps(entry).encode() + b"\n"


def test_events_and_fields_of_a_newer_version_are_kept(old: Lab) -> None:
    """A minor step: the same schema, with more in it."""
    newer = newer_line(event="danced", steps=3) + newer_line(
        event="steered", text="deeper", cell=None, mood="curious")
    with (old.state / "events.jsonl").open("ab") as journal:
        journal.write(newer)
    for name in ("loop.json",):
        known = json.loads((old.state / name).read_text())
        (old.state / name).write_text(json.dumps(known | {"from_the_future": [1, 2]}))
    old.night("--experiments", "2", "--seed", "9")
    assert newer in (old.state / "events.jsonl").read_bytes()
    assert len(old.experiments()) > 4


def test_a_record_with_more_in_it_is_passed_on(old: Lab) -> None:
    path = old.git("ls-tree", "-r", "--name-only", "refs/overnight/ledger/main", "experiments/").splitlines()
    path = [each for each in path if each.endswith("00/00/03/record.json")][0]
    record = json.loads(old.git("show", f"refs/overnight/ledger/main:{path}"))
    index = {"GIT_INDEX_FILE": str(old.place.path / "index")}
    write(old, path, record | {"colour": "blue", "schema": 1}, index)
    found = old.experiments()
    assert found[3]["colour"] == "blue"
    old.night("--experiments", "2", "--seed", "9")
    assert old.experiments()[3]["colour"] == "blue"


def write(lab: Lab, path: str, value: object, env: dict[str, str]) -> None:
    """Puts another file into the ledger, as a newer version could have."""
    run = lambda *args, **more: lab.place.command(["git", *args], lab.root, env=env, **more).out.strip()  # noqa: E731
    run("read-tree", "refs/overnight/ledger/main")
    blob = run("hash-object", "-w", "--stdin", stdin=json.dumps(value))
    run("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    tree = run("write-tree")
    commit = run("commit-tree", tree, "-p", "refs/overnight/ledger/main", "-m", "from the future")
    run("update-ref", "refs/overnight/ledger/main", commit)


def test_a_newer_ledger_is_refused(old: Lab) -> None:
    write(old, "meta.json", {"schema": 2}, {"GIT_INDEX_FILE": str(old.place.path / "index")})
    for command in (["experiments"], ["loop", "start", "--experiments", "1"]):
        done = old.overnight(*command, code=None)
        assert done.code != 0 and "schema 2" in done.err and "Update" in done.err, done
    assert old.started() == []


def test_a_newer_journal_is_refused(old: Lab) -> None:
    with (old.state / "events.jsonl").open("ab") as journal:
        journal.write(newer_line(schema=2, event="whatever"))
    before = (old.state / "events.jsonl").read_bytes()
    done = old.overnight("loop", "start", "--experiments", "1", code=1)
    assert "schema 2" in done.err and "update Overnight" in done.err, done
    assert (old.state / "events.jsonl").read_bytes() == before


def test_an_upgrade_in_the_middle_of_a_night(lab: Lab) -> None:
    """The program is replaced while a run is on: the new one's runner adopts the old one's shim."""
    old, new = (lab.place.path / f"v{n}/overnight" for n in (1, 2))
    for binary in (old, new):
        binary.parent.mkdir()
        # A copy takes half a second and a gigabyte less where the file system can share it.
        subprocess.run(["cp", "--reflink=auto", BINARY, binary], check=True)
    lab.hold()
    lab.place.command([str(old), "loop", "start", "--experiments", "4", "--seed", "3"], lab.root)
    lab.go(0)
    lab.has_started(1)
    shims = [line for line in lab.place.processes().values() if " shim " in line]
    assert len(shims) == 1 and shims[0].startswith(str(old))
    lab.kill_runner()
    old.unlink()
    lab.place.command([str(new), "loop", "resume"], lab.root)
    until(lambda: any(line.startswith(str(new)) and line.endswith(" runner")
                      for line in lab.place.processes().values()), "the new runner is there")
    lab.go()
    lab.place.command([str(new), "loop", "wait"], lab.root)
    assert len(is_at_rest(lab)) == 4
    assert lab.started() == [0, 1, 2, 3], "a run was repeated"


def test_a_program_that_is_replaced_under_a_runner(lab: Lab) -> None:
    """By a package manager, say: the runner goes on, and its next shim is the new program's."""
    binary = lab.place.path / "v1/overnight"
    binary.parent.mkdir()
    subprocess.run(["cp", "--reflink=auto", BINARY, binary], check=True)
    lab.hold()
    lab.place.command([str(binary), "loop", "start", "--experiments", "3", "--seed", "3"], lab.root)
    lab.go(0)
    lab.has_started(1)
    fresh = binary.with_name("fresh")
    subprocess.run(["cp", "--reflink=auto", BINARY, fresh], check=True)
    os.replace(fresh, binary)
    lab.go()
    lab.overnight("loop", "wait")
    assert len(is_at_rest(lab)) == 3


def test_the_files_of_an_old_run_are_read(place: Place) -> None:
    """A shim of this version takes a job of the old one."""
    folder = place.path / "run"
    folder.mkdir(exist_ok=True)
    tree = place.path / "tree"
    tree.mkdir()
    job = json.loads((OLD / "job.json").read_text()) | {"folder": str(tree), "command": "echo 'val_bpb: 1.5'"}
    run = folder / "1"
    run.mkdir()
    (run / "job.json").write_text(json.dumps(job | {"from_the_future": True}))
    place.command([str(BINARY), "shim", str(run)], place.path)
    end, known = (json.loads(path.read_text()) for path in (run / "end.json", OLD / "end.json"))
    assert end["exit"] == "0" and end["last"] == {"val_bpb": 1.5}
    assert known.keys() <= end.keys() | {"note"}, "what the old version told, this one tells"

    later = folder / "2"
    later.mkdir()
    (later / "job.json").write_text(json.dumps(job | {"schema": 2}))
    place.command([str(BINARY), "shim", str(later)], place.path, code=1)
    assert "schema 2" in (later / "shim.error").read_text()


# How programs of others print what decides, last line by last line.
PRINTED = {
    "karpathy": ("val_bpb", ["---", "val_bpb:          0.997900", "peak_vram_mb:     45060.2"], 0.9979),
    "a space before the colon": ("val_accuracy", ["val_accuracy : 0.9000"], 0.9),
    "METRIC": ("score", ["METRIC other=4", "METRIC score=1.23"], 1.23),
    "an assignment": ("parse_us", ["parse_us=121446"], 121446),
    "JSON on the last line": ("score", ["warming up", '{"score": 0.75, "valid": true, "n": 3}'], 0.75),
    "a flag beside it": ("score", ["score: 2.5", "valid: true"], 2.5),
    "a flag after it": ("score", ["valid=1 score=2.5"], 2.5),
}


@pytest.mark.parametrize("how", PRINTED)
def test_what_programs_print_is_read(make_lab: Callable[..., Lab], how: str) -> None:
    metric, lines, value = PRINTED[how]
    lab = make_lab(metric=metric, run="python3 -S harness.py")
    lab.write("harness.py", "".join(f"print({line!r})\n" for line in lines))
    lab.commit()
    lab.night("--experiments", "1")
    [baseline] = lab.is_sound(1)
    assert (baseline["status"], baseline["value"]) == ("keep", value), lab.overnight("log", "0").out
    assert lab.json("sql", f"SELECT {metric} FROM experiments") == [{metric: value}]


def test_a_file_that_the_program_names_is_read(make_lab: Callable[..., Lab]) -> None:
    """Written by one run, and not taken for another's: the second writes none."""
    lab = make_lab(metric="score", metrics="out/metrics.json", run="python3 -S train.py")
    lab.write("train.py", """\
        import json, os
        WIDTH = 8
        print("score: 7")
        if os.environ["OVERNIGHT_EXPERIMENT"] == "0":
            os.makedirs("out", exist_ok=True)
            with open("out/metrics.json", "w") as file:
                json.dump({"score": 0.5, "eval": {"acc": 0.9}}, file, indent=2)
    """)
    lab.write(".gitignore", "out/\n")
    lab.commit()
    lab.night("--experiments", "2")
    first, second = lab.is_sound(2)
    assert (first["status"], first["value"]) == ("keep", 0.5)
    assert first["summary"] == {"score": 0.5, "eval.acc": 0.9}
    assert (second["status"], second["value"]) == ("discard", 7.0)


def test_another_metric_than_the_program_names_is_asked_for(bare_lab: Lab, place: Place) -> None:
    """A program without settings is about `val_bpb`, whatever its prose says: nothing is guessed."""
    bare_lab.write("program.md", "Get the highest val_accuracy.\n")
    bare_lab.write("train.py", "RATE = 0.1\nprint('val_accuracy : 0.9000')\nprint('seconds: 3')\n")
    bare_lab.commit()
    (place.path / "bin/uv").write_text('#!/bin/sh\nshift\nexec python3 -S "$@"\n')
    (place.path / "bin/uv").chmod(0o755)
    said = bare_lab.night("--experiments", "2", code=4)
    assert "it ended without printing `val_bpb`" in said.err
    assert "hint: it printed seconds, val_accuracy: name the one that decides as `metric:` in program.md" in said.err
    [baseline] = bare_lab.is_sound(1)
    assert (baseline["status"], baseline["value"]) == ("crash", None)
