"""What scripts, agents and other tools rely on (the contracts in DESIGN.md): change one only with its schema."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from labs import HARNESS, TRAIN, Lab, Seen
from places import BINARY


def obj(properties: dict[str, Any]) -> dict[str, Any]:
    """An object that has all of these fields, and may have more."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def or_null(kind: str) -> dict[str, Any]:
    return {"type": [kind, "null"]}


STRING, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}
COMMIT = {"type": "string", "pattern": "^[0-9a-f]{40}$"}
TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"}
NUMBERS = {"type": "object", "additionalProperties": NUMBER}
COST = obj({"usd": NUMBER, "input_tokens": INTEGER, "output_tokens": INTEGER})

EXPERIMENT = obj({
    "number": INTEGER,
    "id": {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-7"},
    "status": {"enum": ["keep", "discard", "crash", "timeout", "invalid", "suspect", "waiting"]},
    "value": or_null("number"),
    "delta": or_null("number"),
    "confidence": or_null("number"),
    "parent": {"anyOf": [COMMIT, {"type": "null"}]},
    "candidate": COMMIT,
    "hypothesis": STRING,
    "proposer": STRING,
    "started": TIME,
    "seconds": NUMBER,
    "runs": {"type": "array", "items": obj({
        "seed": INTEGER, "value": or_null("number"), "seconds": NUMBER, "exit": {"type": ["string", "integer"]}})},
    "summary": NUMBERS,
    "cost": COST,
    "reason": STRING,
    "claim": {"enum": ["unproven", "certified", None]},
    "author": STRING,
    "program": {"type": "string", "pattern": "^[0-9a-f]{40}$"},
    "rule": STRING,
    "environment": obj({"host": STRING, "cpu": STRING, "toolchain": STRING, "inputs": {"type": "object"}}),
})
EXPERIMENTS = obj({
    "schema": {"const": 1},
    "lab": STRING,
    "tag": STRING,
    "metric": obj({"name": STRING, "direction": {"enum": ["minimize", "maximize"]}, "unit": or_null("string")}),
    "experiments": {"type": "array", "items": EXPERIMENT},
})
METRICS = obj({
    "schema": {"const": 1},
    "columns": {"type": "object", "additionalProperties": {"type": "array", "items": or_null("number")}},
})
STATUS = obj({
    "schema": {"const": 1},
    "state": {"enum": ["idle", "proposing", "running", "paused", "stopping"]},
    "pid": or_null("integer"),
    "since": {"anyOf": [TIME, {"type": "null"}]},
    "deadline": {"anyOf": [TIME, {"type": "null"}]},
    "experiments": INTEGER,
    "kept": INTEGER,
    "best": {"anyOf": [obj({"number": INTEGER, "value": NUMBER}), {"type": "null"}]},
    "slots": {"type": "array", "items": obj({
        "slot": INTEGER, "experiment": or_null("integer"), "phase": STRING, "elapsed": NUMBER, "budget": NUMBER,
        "last": {"type": "object"}})},
    "cost": COST,
    "problem": or_null("string"),
})


def fits(value: Any, schema: dict[str, Any]) -> None:
    """Checks a value against a schema and names every misfit."""
    misfits = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(value)]
    assert not misfits, "\n".join(misfits)


def test_experiments_as_json(lab: Lab) -> None:
    fits(lab.json("experiments"), EXPERIMENTS)
    lab.night("--experiments", "4", "--seed", "1")
    told = lab.json("experiments")
    fits(told, EXPERIMENTS)
    assert told["metric"] == {"name": "val_bpb", "direction": "minimize", "unit": None}
    assert told["tag"] == "main"
    baseline = told["experiments"][0]
    assert baseline["parent"] is None and baseline["delta"] is None
    assert baseline["runs"][0]["exit"] in ("0", 0)
    assert baseline["summary"]["peak_vram_mb"] == 45060.2
    assert baseline["author"] == "Ada Lovelace"
    assert lab.git("cat-file", "-p", baseline["program"]) == (lab.root / "program.md").read_text()
    for each in told["experiments"][1:]:
        best = min(e["value"] for e in told["experiments"][: each["number"]] if e["status"] == "keep")
        assert each["delta"] == pytest.approx(each["value"] - best)


def test_the_record_in_the_ledger_has_the_same_fields(lab: Lab) -> None:
    lab.night("--experiments", "2", "--seed", "1")
    paths = lab.git("ls-tree", "-r", "--name-only", "refs/overnight/ledger/main").splitlines()
    records = [p for p in paths if p.endswith("record.json")]
    assert len(records) == 2
    assert all(re.fullmatch(r"experiments/[^/]+/\d\d/\d\d/\d\d/record\.json", p) for p in records)
    told = {e["number"]: e for e in lab.experiments()}
    for path in records:
        record = json.loads(lab.git("show", f"refs/overnight/ledger/main:{path}"))
        fits(record, EXPERIMENT)
        assert record["schema"] == 1
        same = {key: record[key] for key in EXPERIMENT["required"]}
        assert same == {key: told[record["number"]][key] for key in EXPERIMENT["required"]}
        folder = path.removesuffix("record.json")
        assert {f"{folder}{name}" for name in ("metrics.parquet", "log.zst", "program.md")} <= set(paths)


def test_metrics_as_json(lab: Lab) -> None:
    lab.night("--experiments", "1")
    metrics = lab.json("metrics", "0")
    fits(metrics, METRICS)
    columns = metrics["columns"]
    assert columns["step"] == list(range(8))
    assert len(columns["loss"]) == 8 and columns["loss"][0] > columns["loss"][-1]
    assert columns["dt"][0] == pytest.approx(0.012) or columns["dt"][0] == 12
    assert columns["tok/sec"] == [1_690_000] * 8


def test_loop_status_as_json(lab: Lab) -> None:
    idle = lab.status()
    fits(idle, STATUS)
    assert idle["state"] == "idle" and idle["pid"] is None
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "3", "--hours", "2")
    lab.has_started(0)
    running = lab.status()
    fits(running, STATUS)
    assert running["state"] == "running" and running["pid"] and running["deadline"]
    assert running["slots"][0]["experiment"] == 0
    lab.go()
    lab.overnight("loop", "wait")
    ended = lab.status()
    fits(ended, STATUS)
    assert ended["state"] == "idle" and ended["best"]["number"] in range(3)


def test_pause_resume_stop(lab: Lab) -> None:
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "50")
    lab.has_started(0)
    lab.overnight("loop", "pause")
    assert lab.status()["state"] == "paused"
    lab.go(0)
    lab.has_finished(1)
    assert lab.started() == [0], "a paused loop starts nothing"
    lab.overnight("loop", "resume")
    lab.has_started(1)
    lab.overnight("loop", "steer", "leave the width alone")
    assert lab.happened("steered")[0]["text"] == "leave the width alone"
    lab.overnight("loop", "stop")
    lab.go(1)
    lab.overnight("loop", "wait")
    lab.is_sound(2)


def test_stop_now_ends_the_run(lab: Lab) -> None:
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "5")
    lab.go(0)
    lab.has_started(1)
    lab.overnight("loop", "stop", "--now")
    lab.overnight("loop", "wait")
    assert lab.place.quiet() == {}
    lab.is_sound()


def test_the_loop_ends_at_its_target(lab: Lab) -> None:
    lab.night("--experiments", "50", "--target", "100")
    lab.is_sound(1)
    assert "target" in lab.status()["ended"]


def test_the_loop_ends_when_its_hours_are_over(lab: Lab) -> None:
    lab.night("--hours", "0.0006", "--seed", "1")
    assert lab.status()["ended"] == "its time is over"
    lab.is_sound()


def test_a_tag_goes_on_by_default_and_another_is_another(lab: Lab) -> None:
    lab.night("--experiments", "2", "--seed", "1")
    lab.night("--experiments", "2", "--seed", "2")
    lab.is_sound(4)
    lab.night("--experiments", "2", "--seed", "1", "--tag", "width")
    assert [e["number"] for e in lab.json("experiments", "--tag", "width")["experiments"]] == [0, 1]
    assert [e["number"] for e in lab.json("experiments")["experiments"]] == [0, 1], "the one last worked on"
    assert [e["number"] for e in lab.json("experiments", "--tag", "main")["experiments"]] == [0, 1, 2, 3]
    refs = lab.git("for-each-ref", "--format=%(refname)").split()
    assert {"refs/overnight/ledger/main", "refs/overnight/ledger/width", "refs/overnight/best/width"} <= set(refs)


def test_refs_and_branches(lab: Lab) -> None:
    before = Seen(lab)
    lab.night("--experiments", "6", "--seed", "1")
    lab.worktree_is(before)
    refs = set(lab.git("for-each-ref", "--format=%(refname)").split())
    assert refs == {"refs/heads/main", "refs/heads/autoresearch/main", "refs/overnight/best/main",
                    "refs/overnight/ledger/main", "refs/overnight/held"}
    found = lab.is_sound(6)
    best = min((e for e in found if e["status"] == "keep"), key=lambda e: e["value"])
    assert lab.git("rev-parse", "refs/overnight/best/main").strip() == best["candidate"]
    assert lab.git("rev-parse", "autoresearch/main").strip() == best["candidate"]
    # Each append is one commit with two parents: the ledger before it, and the candidate.
    chain = lab.git("log", "--first-parent", "--format=%P|%s", "refs/overnight/ledger/main").splitlines()
    candidates = {e["candidate"] for e in found}
    appended = [line for line in chain if line.split("|")[1].startswith("exp ")]
    assert {line.split("|")[0].split()[-1] for line in appended} == candidates
    assert re.match(r"exp 0 keep val_bpb 1\.\d+", appended[-1].split("|")[1]), appended[-1]
    # Kept or not, none is lost to garbage collection.
    lab.git("reflog", "expire", "--expire=now", "--all")
    lab.git("gc", "--quiet", "--prune=now")
    lab.is_sound(6)


def test_candidates_differ_in_the_editable_file_only(lab: Lab) -> None:
    agent = lab.proposer(
        """
        import json, os, sys
        json.load(sys.stdin)
        open("harness.py", "w").write("def run(value):\\n    print('val_bpb: 0.0')\\n")
        open("extra.py", "w").write("print('hello')\\n")
        os.remove("program.md")
        text = open("train.py").read().replace("LR = 0.04", "LR = 0.02")
        open("train.py", "w").write(text)
        """
    )
    lab.night("--experiments", "2", "--agent", agent)
    tried = lab.is_sound(2)[1]
    assert lab.git("diff", "--name-only", tried["parent"], tried["candidate"]).split() == ["train.py"]
    assert tried["value"] is None or tried["value"] > 1.0, "the locked file was not replaced"
    assert lab.git("diff", tried["parent"], tried["candidate"]).count("\n+LR = 0.02") == 1


def test_command_proposers(lab: Lab) -> None:
    seen = lab.place.path / "briefs"
    agent = lab.proposer(
        f"""
        import json, sys
        brief = json.load(sys.stdin)
        with open({str(seen)!r}, "a") as file:
            file.write(json.dumps(brief) + "\\n")
        number = len(brief["experiments"])
        if number < 3:
            text = open("train.py").read()
            open("train.py", "w").write(text + f"EXTRA_{{number}} = {{number}}\\n")
            print("thinking aloud", file=sys.stderr)
            print(json.dumps({{"hypothesis": f"a comment, number {{number}}"}}))
        """
    )
    lab.overnight("loop", "steer", "comments only", code=None)
    lab.program(ahead=False)
    lab.commit()
    lab.night("--experiments", "9", "--agent", agent)
    found = lab.is_sound(3)
    assert [e["hypothesis"] for e in found[1:]] == ["a comment, number 1", "a comment, number 2"]
    assert all(e["proposer"].startswith("command:") for e in found[1:])
    briefs = [json.loads(line) for line in seen.read_text().splitlines()]
    fits(briefs[0], obj({
        "schema": {"const": 1}, "program": STRING, "editable": {"type": "array", "items": STRING}, "best": {},
        "experiments": {"type": "array"}, "steering": {"type": "array"}, "remaining": {}}))
    assert briefs[0]["editable"] == ["train.py"]
    assert "learning rate" in briefs[0]["program"]
    assert [len(b["experiments"]) for b in briefs[:3]] == [1, 2, 3]


def test_a_proposer_that_fails_is_told_and_asked_again_or_ends_the_loop(lab: Lab) -> None:
    agent = lab.proposer("import sys\nsys.exit('no credit left')\n")
    done = lab.night("--experiments", "5", "--agent", agent, code=1)
    assert "no credit left" in done.text + str(lab.status()["problem"])
    lab.is_sound(1)


def test_the_environment_of_a_candidate(lab: Lab) -> None:
    lab.write("harness.py", HARNESS.replace("def run(value):\n", "def run(value):\n"
              "    for name in sorted(os.environ):\n        print(f'ENV {name} [{os.environ[name]}]')\n"))
    lab.program(seed_env="MY_SEED")
    lab.commit()
    canaries = {name: f"canary-{name}" for name in
                ("FOO_API_KEY", "ANTHROPIC_API_KEY", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD")}
    gpus = {"CUDA_VISIBLE_DEVICES": "3,5"}
    lab.night("--experiments", "2", "--budget", "7s", "--seed", "5", env=canaries | gpus)
    log = lab.json("log", "1")["log"]
    given = dict(re.findall(r"^ENV (\S+) \[(.*)\]", log, flags=re.MULTILINE))
    assert float(given["OVERNIGHT_BUDGET_SECONDS"]) == 7
    assert given["OVERNIGHT_EXPERIMENT"] == "1"
    assert given["OVERNIGHT_SLOT"] == "0"
    assert given["MY_SEED"] == given["OVERNIGHT_SEED"] == str(lab.experiments()[1]["runs"][0]["seed"])
    assert given["CUDA_VISIBLE_DEVICES"] == "3", "slot 0 has the first of the GPUs that it was given"
    assert "PATH" in given and "HOME" in given
    for name, value in canaries.items():
        assert name not in given, f"{name} reached the candidate"
        assert value not in log
    everything = b"".join(p.read_bytes() for p in lab.state.rglob("*") if p.is_file())
    assert b"canary-" not in everything


def test_state_is_kept_under_the_git_common_directory(lab: Lab) -> None:
    elsewhere = lab.place.path / "elsewhere"
    lab.git("worktree", "add", "--quiet", "--detach", str(elsewhere))
    lab.night("--experiments", "1")
    assert (lab.state / "events.jsonl").exists() and (lab.state / "runner.lock").exists()
    assert lab.state.stat().st_mode & 0o77 == 0, "only its owner may read it"
    told = json.loads(lab.overnight("--json", "experiments", cwd=elsewhere).out)
    assert len(told["experiments"]) == 1, "another worktree of the repository is the same lab"
    sockets = [p for p in lab.place.path.rglob("*.sock")]
    assert all(p.stat().st_mode & 0o77 == 0 and len(os.fsencode(p)) <= 107 for p in sockets)
    inside = [p for p in lab.root.rglob("*") if "worktrees" in p.parts and p.suffix == ".py"]
    assert inside == [], "runs happen outside the repository"


def test_results_tsv_there_and_back(make_lab: Any) -> None:
    lab = make_lab()
    lab.night("--experiments", "4", "--seed", "1")
    file = lab.place.path / "results.tsv"
    lab.overnight("export", str(file))
    exported = file.read_text()
    header, *rows = exported.splitlines()
    assert header.split("\t") == ["commit", "val_bpb", "memory_gb", "status", "description"]
    found = lab.experiments()
    assert [row.split("\t")[3] for row in rows] == [e["status"] for e in found]
    assert float(rows[0].split("\t")[1]) == pytest.approx(found[0]["value"], abs=1e-6)
    assert found[0]["candidate"].startswith(rows[0].split("\t")[0])
    assert lab.overnight("export").out.strip() == exported.strip()

    # Another clone that has the commits, and not the ledger.
    other = make_lab("other")
    other.git("fetch", "--quiet", str(lab.root), "refs/overnight/ledger/main:refs/heads/theirs")
    other.overnight("import", str(file))
    assert other.overnight("export").out.strip() == exported.strip()
    other.overnight("import", str(file))
    assert len(other.experiments()) == 4, "imported twice, counted once"
    unknown = other.overnight("import", str(file), "--tag", "elsewhere", cwd=stranger(make_lab))
    assert "no commit" in unknown.text, unknown


def stranger(make_lab: Any) -> Any:
    """A repository that has none of the commits."""
    return make_lab("stranger").root


def test_what_a_person_does_is_in_the_same_ledger(lab: Lab) -> None:
    lab.night("--experiments", "2", "--seed", "1")
    lab.write("train.py", TRAIN.replace("LR = 0.04", "LR = 0.01"))
    before = Seen(lab)
    done = lab.overnight("run", "--hypothesis", "a colder start")
    assert "2" in done.out
    lab.worktree_is(before)
    mine = lab.is_sound(3)[2]
    assert mine["hypothesis"] == "a colder start" and mine["author"] == "Ada Lovelace"
    assert mine["proposer"] == "human" and mine["status"] == "keep"
    lab.overnight("note", "2", "this one is mine")
    lab.overnight("discard", "2")
    after = lab.experiments()[2]
    assert after["status"] == "discard" and after["value"] == mine["value"]
    assert "this one is mine" in lab.overnight("experiment", "2").out
    lab.overnight("keep", "2")
    assert lab.experiments()[2]["status"] == "keep"
    assert lab.overnight("best").out.strip()
    kinds = lab.overnight("sql", "SELECT event, author FROM events").out
    assert "noted" in kinds and "overridden" in kinds and "Ada Lovelace" in kinds


def test_a_person_may_be_the_first(lab: Lab) -> None:
    """No loop, no baseline, and nothing that `search` could change: a run shows how the code does as it is."""
    lab.program(run="sh train.sh", editable="train.sh")
    lab.write("train.sh", "echo 'no figure'\n")
    lab.commit()
    failed = lab.overnight("run", code=None)
    assert "Experiment 0: baseline" in failed.out and "without printing `val_bpb`" in failed.out, failed
    lab.write("train.sh", "echo 'val_bpb: 1.5'\n")
    mended = lab.overnight("run")
    assert "Experiment 1: baseline" in mended.out and "1.5" in mended.out, mended
    lab.write("train.sh", "echo 'val_bpb: 1.4'\n")
    assert "Experiment 2" in lab.overnight("run", "-m", "a lower one").out
    assert [e["status"] for e in lab.is_sound(3)] == ["crash", "keep", "keep"]
    assert {event["proposer"] for event in lab.happened("loop_started")} == {"baseline"}


def test_a_duplicate_costs_nothing(lab: Lab) -> None:
    agent = lab.proposer(
        """
        import json, sys
        brief = json.load(sys.stdin)
        text = open("train.py").read()
        open("train.py", "w").write(text.replace("LR = 0.04", "LR = 0.5"))
        """
    )
    lab.night("--experiments", "6", "--agent", agent, code=None)
    assert lab.started() == [0, 1], "the same file was run twice"
    lab.is_sound(2)


def test_tables_for_sql(lab: Lab) -> None:
    lab.night("--experiments", "3", "--seed", "1")
    found = lab.experiments()
    best = lab.json("sql", "SELECT number, val_bpb FROM experiments ORDER BY val_bpb LIMIT 1")
    assert "val_bpb" in json.dumps(best)
    text = lab.overnight("sql", "SELECT experiment, run, step, time, loss FROM metrics WHERE step = 7").out
    assert text.count("7") >= len(found)
    assert "seed" in lab.overnight("sql", "SELECT * FROM runs").out
    assert "loop_started" in lab.overnight("sql", "SELECT event FROM events").out


def test_the_table_filters_and_sorts(lab: Lab) -> None:
    lab.night("--experiments", "6", "--seed", "1")
    top = lab.json("experiments", "--top", "2")["experiments"]
    values = sorted(e["value"] for e in lab.experiments())
    assert sorted(e["value"] for e in top) == values[:2]
    kept = lab.json("experiments", "--status", "keep")["experiments"]
    assert kept and {e["status"] for e in kept} == {"keep"}
    numbers = [e["number"] for e in lab.json("experiments", "--sort", "value")["experiments"]]
    assert numbers == sorted(numbers), "JSON is in the order of numbers, as it is documented"
    lines = lab.overnight("experiments", "--sort", "value").out
    value_of = {e["number"]: e["value"] for e in lab.experiments()}
    shown = [value_of[int(number)] for number in re.findall(r"^[★ ] +(\d+) ", lines, re.MULTILINE)]
    assert shown == values, lines


def test_nothing_but_json_is_on_standard_output(lab: Lab) -> None:
    lab.night("--experiments", "2", "--seed", "1")
    for command in (["experiments"], ["experiment", "0"], ["metrics", "0"], ["loop", "status"], ["best"],
                    ["sql", "SELECT number FROM experiments"]):
        json.loads(lab.overnight("--json", *command).out)
        json.loads(lab.overnight(*command, "--json").out)


def test_help_and_version(lab: Lab) -> None:
    assert re.fullmatch(r"overnight \d+\.\d+\.\d+\S*\n", lab.overnight("--version").out)
    helped = lab.overnight("--help").out
    assert all(word in helped for word in ("loop", "experiments", "lab", "doctor"))
    assert not any(re.search(rf"^\s+{hidden}\b", helped, re.MULTILINE) for hidden in ("shim", "runner", "cells-worker"))
    for command in ("start", "wait", "steer"):
        assert lab.overnight("loop", command, "--help").out
    assert BINARY.stat().st_size < 300 << 20


def test_interrupting_a_waiting_command(lab: Lab) -> None:
    lab.hold()
    waiting = lab.spawn("loop", "start", "--wait", "--experiments", "2", start_new_session=True)
    lab.has_started(0)
    waiting.send_signal(2)
    waiting.communicate(timeout=30)
    assert waiting.returncode == 6
    assert lab.status()["state"] == "running", "the loop goes on"
    lab.go()
    lab.overnight("loop", "wait")
    lab.is_sound(2)


def test_doctor(lab: Lab) -> None:
    said = lab.overnight("doctor", code=None)
    assert said.code in (0, 1)
    assert "git" in said.text and "program.md" in said.text, said


def test_new_makes_a_lab_that_runs(place: Any) -> None:
    lab = Lab(place)
    lab.write("train.py", TRAIN.replace("import harness\n\n    harness.run(value())", "print('val_bpb:', value())"))
    lab.commit()
    lab.overnight("new")
    assert (lab.root / "program.md").exists()
    lab.overnight("program")
