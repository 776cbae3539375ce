"""`loop rehearse`: a few minutes that play the night, on a copy of the lab that leaves nothing behind.

The runs of these labs take a tenth of a second, so a rehearsal takes seconds.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labs import HARNESS, TRAIN, Lab, Seen, alive
from places import Done, Place, until

# The value depends on the seed a little, as that of a real training does.
NOISY = TRAIN.replace("if __name__", '''import os
NOISE = int(os.environ.get("OVERNIGHT_SEED", "0")) % 7 / 1000


if __name__''').replace("harness.run(value())", "harness.run(value() + NOISE)")


def rehearse(lab: Lab, *args: str, code: int = 0, **more: Any) -> Done:
    """A whole rehearsal, of which nothing may be left."""
    before = Seen(lab)
    refs = lab.git("for-each-ref")
    done = lab.overnight("loop", "rehearse", *args, code=code, **more)
    lab.worktree_is(before)
    assert lab.git("for-each-ref") == refs, "the lab's refs have changed"
    assert lab.events() == [], "the lab's journal was written to"
    nothing_is_left(lab.place)
    return done


def nothing_is_left(place: Place) -> None:
    cache = place.path / "cache/overnight"
    assert not list((cache / "rehearsals").glob("*")), "a copy is left"
    kept = [folder for folder in cache.iterdir() if folder.name not in ("rehearsals", "prelude")]
    assert all([file.name for file in folder.iterdir()] == ["rehearsal.json"] for folder in kept), kept


def steps(lab: Lab, *args: str, code: int = 0, **more: Any) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The steps by name, and the whole answer, of `--json loop rehearse`."""
    done = rehearse(lab, *args, "--json", code=code, **more)
    answer = json.loads(done.out)
    assert answer["schema"] == 1
    return {step["name"]: step for step in answer["steps"]}, answer


def test_a_lab_that_is_ready(lab: Lab) -> None:
    lab.write("train.py", NOISY)
    lab.commit()
    lab.write("train.py", NOISY.replace("WIDTH = 48", "WIDTH = 60"))  # not committed
    done = rehearse(lab, "--hours", "8")
    for line in ("ok  program", "ok  commands", "ok  copy", "ok  baseline", "ok  metrics", "ok  noise", "ok  proposal",
                 "ok  resume", "ok  disk", "Tonight: about", "in 8 h", "can be told from noise", "A forecast from 3 runs"):
        assert line in done.out, f"{line!r} is missing:\n{done}"
    baseline = next(line for line in done.out.splitlines() if "baseline" in line)
    # What is not committed is part of it.
    assert "1.11374" in baseline, baseline


def test_its_figures(lab: Lab) -> None:
    lab.write("train.py", NOISY)
    lab.commit()
    found, answer = steps(lab, "--experiments", "20")
    forecast = answer["forecast"]
    assert forecast["experiments"] == 20 and forecast["limit"] == "experiments"
    assert forecast["hours"] == 8 and forecast["said"] is False
    assert forecast["gain"] == pytest.approx(2.507 * 0.001, rel=0.01)
    assert forecast["usd"] == 0 and forecast["runs"] == 3 and forecast["bytes"] > 0
    assert found["noise"]["found"].startswith("another seed gave")
    assert answer["problem"] is None
    # The next start knows how fast the lab grows.
    (file,) = (lab.place.path / "cache/overnight").glob("lab-*/rehearsal.json")
    assert json.loads(file.read_text())["bytes_per_experiment"] > 0


def test_a_seed_that_is_not_used_is_said(lab: Lab) -> None:
    found, answer = steps(lab)
    assert found["noise"]["state"] == "note"
    assert "does not use OVERNIGHT_SEED" in found["noise"]["found"]
    assert answer["forecast"]["gain"] is None and "the noise is not known" in answer["words"]


def test_the_runner_is_killed_while_a_run_is_on(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(run="python3 -S train.py '' 0.2")
    found, _ = steps(lab)
    assert found["resume"]["state"] == "ok", found
    assert "the run went on meanwhile" in found["resume"]["found"]


def test_a_baseline_that_fails(lab: Lab) -> None:
    lab.write("harness.py", "def run(value):\n    raise SystemExit('no GPU: driver too old')\n")
    lab.commit()
    found, answer = steps(lab, code=4)
    assert found["baseline"]["state"] == "problem"
    assert "driver too old" in found["baseline"]["found"]
    assert answer["forecast"] is None and "baseline" in answer["problem"]


def test_a_build_that_fails(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(build="echo 'error: no compiler'; exit 1")
    found, _ = steps(lab, code=4)
    assert found["build"]["state"] == "problem" and "no compiler" in found["build"]["found"]


def test_a_program_that_is_wrong(lab: Lab) -> None:
    lab.write("program.md", "---\nbugdet: 20s\n---\n")
    assert "did you mean `budget`" in rehearse(lab, code=3).text


def test_a_command_that_is_not_there(make_lab: Callable[..., Lab]) -> None:
    found, _ = steps(make_lab(run="surely-not-there --fast"), code=3)
    assert found["commands"]["state"] == "problem" and "surely-not-there" in found["commands"]["found"]


def test_a_proposer_that_fails(lab: Lab) -> None:
    agent = lab.proposer("import sys\nsys.exit('the model is away')\n")
    found, answer = steps(lab, "--agent", agent, code=1)
    assert found["proposal"]["state"] == "problem" and "the model is away" in found["proposal"]["found"]
    assert found["baseline"]["state"] == "ok"


def test_what_a_proposal_costs(lab: Lab) -> None:
    agent = lab.proposer("""
        import json, pathlib, re
        file = pathlib.Path("train.py")
        file.write_text(file.read_text().replace("LR = 0.04", "LR = 0.02"))
        print(json.dumps({"hypothesis": "a lower rate", "cost": {"usd": 0.25, "input_tokens": 900, "output_tokens": 90}}))
    """)
    found, answer = steps(lab, "--agent", agent, "--max-cost", "2")
    assert "0.25 USD" in found["proposal"]["found"] and "a lower rate" in found["proposal"]["found"]
    assert answer["forecast"]["limit"] == "cost"
    assert answer["forecast"]["experiments"] == 9 and answer["forecast"]["usd"] == 2.0


def test_inputs_are_linked_and_setup_is_rehearsed_apart(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(inputs=["data/"], setup="mkdir -p data && echo 1 > data/tokens",
                   run="test -s data/tokens && python3 -S train.py")
    found, _ = steps(lab)
    assert found["set-up"]["state"] == "ok" and not (lab.root / "data").exists()
    lab.write("data/tokens", "2\n")
    lab.write(".gitignore", "__pycache__/\ndata/\n")
    lab.commit()
    found, _ = steps(lab)
    assert "not rehearsed" in found["set-up"]["found"] and (lab.root / "data/tokens").read_text() == "2\n"


def test_code_with_a_budget_of_its_own(lab: Lab) -> None:
    """The lab's code trains for as long as it likes, and prints its metric at the end alone."""
    lab.write("harness.py", """\
        import time

        def run(value):
            for step in range(10_000):
                print(f"step {step:05d} | loss: {3 - step / 100:.4f} | tok/sec: 1000", flush=True)
                time.sleep(0.05)
            print(f"---\\nval_bpb: {value}")
    """)
    lab.program(budget="5m", timeout="10m")
    lab.commit()
    # The seconds that a rehearsal waits are not the test's to wait.
    found, answer = steps(lab, env={"OVERNIGHT_REHEARSAL_SECONDS": "1"})
    assert "holds its own budget" in found["baseline"]["found"] and "`loss` stands in" in found["baseline"]["found"]
    assert found["metrics"]["state"] == "ok" and "loss, tok/sec" in found["metrics"]["found"]
    assert found["noise"]["state"] == "note" and answer["forecast"]["gain"] is None
    assert answer["forecast"]["seconds"] >= 300


def test_an_interrupt_cleans_up(lab: Lab) -> None:
    lab.hold()
    before = Seen(lab)
    rehearsal = lab.spawn("loop", "rehearse")
    until(lambda: lab.started(), "the baseline of the copy runs")
    rehearsal.send_signal(signal.SIGINT)
    out, err = rehearsal.communicate(timeout=60)
    assert rehearsal.returncode == 6, (out, err)
    lab.worktree_is(before)
    nothing_is_left(lab.place)
    assert not lab.place.quiet(20)


def killed(lab: Lab) -> None:
    """A rehearsal that is killed while the baseline of its copy runs."""
    lab.hold()
    rehearsal = lab.spawn("loop", "rehearse")
    until(lambda: lab.started(), "the baseline of the copy runs")
    rehearsal.kill()
    rehearsal.communicate()
    assert list((lab.place.path / "cache/overnight/rehearsals").iterdir())


def runs_are_gone(lab: Lab) -> None:
    pids = [int(line.split()[1]) for line in (lab.gate / "started").read_text().splitlines()]
    until(lambda: not any(map(alive, pids)), "the run that was left behind is gone")


def test_what_a_killed_rehearsal_left_is_cleaned_by_the_next(lab: Lab) -> None:
    killed(lab)
    lab.go()
    rehearse(lab)
    runs_are_gone(lab)


def test_what_a_killed_rehearsal_left_is_freed_by_gc(lab: Lab) -> None:
    killed(lab)
    for dry in (["--dry-run"], []):
        freed = {row["what"]: row for row in lab.json("gc", *dry)["freed"]}
        copies = freed["copies of rehearsals that were killed"]
        assert copies["count"] == 1 and copies["bytes"] > 0
    nothing_is_left(lab.place)
    runs_are_gone(lab)


def test_beside_a_loop_it_refuses(lab: Lab) -> None:
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "1")
    lab.has_started(0)
    said = lab.overnight("loop", "rehearse", code=1)
    assert "a loop is on" in said.text
    lab.go()
    until(lambda: lab.status()["state"] == "idle", "the loop is over")


def test_the_best_of_the_line_is_what_is_rehearsed(lab: Lab) -> None:
    lab.night("--experiments", "6", "--seed", "3")
    best = min(e["value"] for e in lab.experiments() if e["status"] == "keep")
    events = lab.events()
    done = lab.overnight("loop", "rehearse")
    assert lab.events() == events, "the lab's journal was written to"
    baseline = next(line for line in done.out.splitlines() if "baseline" in line)
    assert float(baseline.split()[3]) == pytest.approx(best, abs=1e-6), baseline


# -- outliving


def test_an_allocation_that_ends_before_the_night(lab: Lab) -> None:
    end = int(time.time()) + 5 * 3600
    slurm = {"SLURM_JOB_ID": "17", "SLURM_JOB_END_TIME": str(end)}
    _, answer = steps(lab, "--hours", "8", env=slurm)
    told = [step["found"] for step in answer["steps"] if step["name"] == "outliving"]
    assert any("Slurm allocation 17 ends at" in line and "of the 8 h asked" in line for line in told), told
    assert answer["forecast"]["hours"] == pytest.approx(5, abs=0.1)
    assert "Slurm allocation 17" in lab.overnight("doctor", env=slurm).out

    lab.hold()
    said = lab.overnight("loop", "start", "--hours", "8", env=slurm)
    assert "Slurm allocation 17 ends at" in said.out, said
    status = lab.status()
    deadline = time.mktime(time.strptime(status["deadline"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    assert end - 600 < deadline < end - 60, "it ends before the allocation does"
    assert any("Slurm allocation 17" in warning for warning in status["warnings"])
    assert "Slurm allocation 17" in lab.overnight("loop", "status").out
    lab.overnight("loop", "stop", "--now")
    until(lambda: lab.status()["state"] == "idle", "the loop is over")


def test_a_full_disk_pauses_the_loop_until_there_is_room(lab: Lab, place: Place) -> None:
    small = place.path / "small"
    small.mkdir()
    mounted = place.command(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(small)], place.path, code=None)
    if mounted.code != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        cache = {"XDG_CACHE_HOME": str(small)}
        filler = small / "filler"
        lab.hold()
        lab.overnight("loop", "start", "--experiments", "3", env=cache)
        lab.has_started(0)
        fill(small, filler)
        lab.go()
        paused = until(lambda: (s := lab.overnight("--json", "loop", "status", env=cache)) and
                       json.loads(s.out)["state"] == "paused" and json.loads(s.out), "the loop is paused")
        assert "the disk is nearly full" in paused["problem"] and "kept free" in paused["problem"], paused
        filler.unlink()
        until(lambda: lab.status()["state"] == "idle" and len(lab.experiments()) == 3, "the loop goes on by itself")
    finally:
        place.kill_all()
        place.command(["umount", "--lazy", str(small)], place.path, code=None)


def fill(folder: Path, filler: Path) -> None:
    """Leaves less than the hundredth of a disk that is kept free."""
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    filler.write_bytes(b"\0" * (free - room.f_blocks * room.f_frsize // 200))
