"""What goes wrong gets its judgement or its clear error, and the loop goes on or stops as the design says."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labs import TRAIN, Lab, Seen
from places import until

GOOD = "    import harness\n\n    harness.run(value())\n"

# A candidate whose main part is replaced, and what becomes of it.
CRASHES = 'raise RuntimeError("the loss went through the roof")'
HANGS = "import time\nprint('step 00001 | loss: 2.5', flush=True)\ntime.sleep(3600)"
DEAF = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('val_bpb: 0.5', flush=True)\ntime.sleep(3600)"
)
FORKS = (
    "import os, time\n"
    "for _ in range(3):\n"
    "    if os.fork() == 0:\n"
    "        os.setsid()\n"
    "        if os.fork() == 0:\n"
    "            time.sleep(3600)\n"
    "        os._exit(0)\n"
    "print('val_bpb: 1.5', flush=True)"
)
NAN = "print('step 00001 | loss: nan')\nprint('---')\nprint('val_bpb: nan')"
SILENT = "print('all went well')"
LIES = "print('val_bpb: 0.5', flush=True)\nraise SystemExit(3)"


def candidate(body: str) -> str:
    """A `train.py` whose main part is `body`."""
    indented = "\n".join("    " + line for line in body.splitlines()) + "\n"
    return TRAIN.replace(GOOD, indented)


def agent(lab: Lab, *bodies: str) -> str:
    """A proposer that hands in these candidates in turn, then has nothing more to propose."""
    folder = lab.place.path / "candidates"
    folder.mkdir()
    for i, body in enumerate(bodies):
        (folder / str(i)).write_text(candidate(body))
    return lab.proposer(
        f"""
        import json, os, sys
        json.load(sys.stdin)
        folder = {str(folder)!r}
        left = sorted(os.listdir(folder), key=int)
        if left:
            os.replace(os.path.join(folder, left[0]), "train.py")
            print(json.dumps({{"hypothesis": "candidate " + left[0]}}))
        """
    )


def better(value: float) -> str:
    """A candidate that does what it should."""
    return f"print('step 00001 | loss: {2 * value}')\nprint('---')\nprint('val_bpb: {value}')"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        pytest.param(CRASHES, "crash", "exit code 1", id="crashes"),
        pytest.param(HANGS, "timeout", "2s", id="hangs"),
        pytest.param(DEAF, "timeout", "2s", id="ignores SIGTERM"),
        pytest.param(NAN, "crash", "NaN", id="prints NaN"),
        pytest.param(SILENT, "crash", "val_bpb", id="prints no metric"),
        pytest.param(LIES, "crash", "exit code 3", id="prints a metric and fails"),
    ],
)
def test_a_bad_candidate_is_judged_and_the_loop_goes_on(
    make_lab: Callable[..., Lab], body: str, status: str, said: str
) -> None:
    lab = make_lab(timeout="2s", budget="1s")
    lab.night("--experiments", "3", "--agent", agent(lab, body, better(0.9)))
    baseline, bad, good = lab.is_sound(3)
    assert bad["status"] == status
    assert said.lower() in bad["reason"].lower(), bad["reason"]
    assert good["status"] == "keep" and good["value"] == 0.9
    assert good["parent"] == baseline["candidate"], "what follows builds on the best, not on the bad one"
    assert lab.status()["best"] == {"number": 2, "value": 0.9}


def test_a_crash_shows_its_traceback(lab: Lab) -> None:
    lab.night("--experiments", "2", "--agent", agent(lab, CRASHES))
    log = lab.overnight("log", "1").out
    assert "RuntimeError: the loss went through the roof" in log
    assert "train.py" in log


def test_children_that_outlive_the_run_are_ended(lab: Lab) -> None:
    lab.night("--experiments", "2", "--agent", agent(lab, FORKS))
    assert lab.is_sound(2)[1]["value"] == 1.5
    assert lab.place.quiet() == {}


def test_a_gigabyte_of_output(make_lab: Callable[..., Lab]) -> None:
    """Half of it is one endless line. Time and log stay bounded, and the metric behind it is found."""
    flood = (
        "import sys\n"
        "print('the beginning', flush=True)\n"
        "for _ in range(512):\n"
        "    sys.stdout.buffer.write(b'x' * (1 << 20))\n"
        "sys.stdout.buffer.write(b'\\n')\n"
        "line = b'warning: this is printed far too often\\n'\n"
        "block = line * ((1 << 20) // len(line))\n"
        "for _ in range(512):\n"
        "    sys.stdout.buffer.write(block)\n"
        "sys.stdout.flush()\n"
        "print('val_bpb: 1.25')"
    )
    lab = make_lab(timeout="5m", budget="2m")
    began = time.monotonic()
    lab.night("--experiments", "2", "--agent", agent(lab, flood), timeout=400)
    assert time.monotonic() - began < 180
    assert lab.is_sound(2)[1]["value"] == 1.25
    log = lab.json("log", "1")["log"]
    assert len(log) < 16 << 20
    assert "the beginning" in log and "val_bpb: 1.25" in log
    used = sum(f.stat().st_size for f in lab.place.path.rglob("*") if f.is_file() and not f.is_symlink())
    assert used < 128 << 20, f"{used >> 20} MB on disk"


def test_a_run_is_ended_at_its_budget_where_the_lab_says_so(make_lab: Callable[..., Lab]) -> None:
    endless = (
        "import time\n"
        "step = 0\n"
        "while True:\n"
        "    print(f'step {step:05d} | val_bpb: {1 / (1 + step / 1000)}', flush=True)\n"
        "    step += 1\n"
        "    time.sleep(0.01)"
    )
    lab = make_lab(at_budget="stop", budget="1s", timeout="60s")
    lab.night("--experiments", "2", "--agent", agent(lab, endless))
    stopped = lab.is_sound(2)[1]
    assert stopped["status"] == "keep", stopped["reason"]
    assert stopped["value"] == lab.json("metrics", "1")["columns"]["val_bpb"][-1]
    assert stopped["runs"][0]["seconds"] < 30


def test_a_proposer_that_has_nothing_to_propose_ends_the_loop(lab: Lab) -> None:
    done = lab.night("--experiments", "9", "--agent", agent(lab, better(0.9)))
    lab.is_sound(2)
    assert "nothing" in (lab.status()["ended"] + done.text).lower()


def test_crashes_in_a_row_end_the_loop(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(crashes=3)
    done = lab.night("--experiments", "20", "--agent", agent(lab, *[CRASHES.replace("roof", f"roof {i}") for i in range(9)]), code=1)
    assert len(lab.is_sound()) == 4
    assert "3 experiments crashed" in done.text, done


def test_a_baseline_that_fails(lab: Lab) -> None:
    lab.write("harness.py", "def run(value):\n    raise RuntimeError('no data here')\n")
    lab.commit()
    done = lab.night("--experiments", "5", code=4)
    assert "baseline" in done.text and "no data here" in done.text, done
    assert lab.status()["state"] == "idle"
    assert len(lab.started()) == 0


def test_a_dirty_working_tree_is_what_runs_and_stays_as_it_is(lab: Lab) -> None:
    lab.write("notes.txt", "untracked\n")
    lab.write("harness.py", (lab.root / "harness.py").read_text() + "# staged\n")
    lab.git("add", "harness.py")
    lab.write("train.py", TRAIN.replace("LR = 0.04", "LR = 0.01"))
    lab.git("stash", "list")
    before = Seen(lab)
    done = lab.night("--experiments", "3", "--seed", "2")
    lab.worktree_is(before)
    assert "not committed" in done.text or "uncommitted" in done.text.lower(), done

    baseline = lab.is_sound(3)[0]
    tried = lab.git("show", f"{baseline['candidate']}:train.py")
    assert "LR = 0.01" in tried
    assert "# staged" in lab.git("show", f"{baseline['candidate']}:harness.py")
    assert "notes.txt" not in lab.git("ls-tree", "-r", "--name-only", baseline["candidate"])
    assert lab.git("rev-parse", f"{baseline['candidate']}^") == before.facts["head"].splitlines()[0] + "\n"


def test_two_starts_at_once_share_one_runner(lab: Lab) -> None:
    lab.hold()
    both = [lab.spawn("loop", "start", "--experiments", "4") for _ in range(2)]
    for start in both:
        out, err = start.communicate(timeout=90)
        assert start.returncode == 0, out + err
    lab.has_started(0)

    def runners() -> list[str]:
        return [line for line in lab.place.processes().values() if line.endswith(" runner")]

    until(lambda: len(runners()) == 1, "the one that came second has given way")
    third = lab.overnight("loop", "start", "--experiments", "4")
    assert "attach" in third.text or "already" in third.text, third
    lab.go()
    lab.overnight("loop", "wait")
    lab.is_sound(4)
    assert lab.started() == [0, 1, 2, 3]
    assert len(lab.happened("loop_started")) == 1


def test_a_second_runner_gives_way(lab: Lab) -> None:
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "2")
    lab.has_started(0)
    second = lab.overnight("runner", code=5)
    assert "another runner" in second.text and str(lab.runner()) in second.text, second
    lab.go()
    lab.overnight("loop", "wait")
    lab.is_sound(2)


@pytest.fixture
def small_disk(lab: Lab) -> Iterator[Path]:
    """The lab moves to a disk of 8 MB, cache and all else stay where they are."""
    disk = lab.place.path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small disk needs root and CAP_SYS_ADMIN: {mounted.stderr.strip()}")
    try:
        moved = disk / "lab"
        subprocess.run(["cp", "-a", lab.root, moved], check=True)
        lab.root = moved
        yield disk
    finally:
        lab.place.kill_all()
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_at_an_append(lab: Lab, small_disk: Path) -> None:
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "4", "--seed", "3")
    lab.go(0)
    lab.has_started(1)
    fill(small_disk / "ballast")
    lab.go()
    paused = until(lambda: (status := lab.status())["state"] == "paused" and status, "the loop pauses")
    # Whoever notices first: the look between two experiments, or the write that fails.
    assert re.search("the disk is (nearly )?full", paused["problem"]), paused
    assert "loop resume" in paused["problem"], "it says what to do"
    assert len(lab.experiments()) == 1, "nothing was half appended"

    (small_disk / "ballast").unlink()
    lab.overnight("loop", "resume")
    lab.overnight("loop", "wait")
    assert len(lab.is_sound()) == 4
    assert lab.started().count(1) == 1, "the run that had ended before was not lost"


def fill(path: Path) -> None:
    """Takes all the space that is left."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            while True:
                try:
                    file.write(b"\0" * size)
                except OSError:
                    break


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param("metric: val_bpb\nbugdet: 5m\n", ["bugdet", "budget", "3"], id="unknown"),
        pytest.param("metric: val_bpb\ncrashes: many\n", ["crashes", "many", "3"], id="type"),
        pytest.param("budget: 10m\ntimeout: 5m\n", ["timeout", "budget"], id="contradictory"),
        pytest.param("metric: [val_bpb\nbudget: 5m\n", ["program.md"], id="not YAML"),
    ],
)
def test_broken_front_matter_is_named_before_anything_runs(lab: Lab, lines: str, said: list[str]) -> None:
    lab.write("program.md", f"---\n{lines}---\nExplore.\n")
    for command in (["loop", "start", "--experiments", "1"], ["program"]):
        done = lab.overnight(*command, code=3)
        assert "program.md" in done.err
        for each in said:
            assert each in done.err, done
    assert lab.started() == []


def test_not_a_lab(bare_lab: Lab, tmp_path: Path) -> None:
    nowhere = bare_lab.place.path / "nowhere"
    nowhere.mkdir()
    done = bare_lab.overnight("experiments", cwd=nowhere, code=3)
    assert "git" in done.err
    done = bare_lab.overnight("loop", "start", "--experiments", "1", code=3)
    assert "commit" in done.err, "a repository without a commit cannot have a candidate"
    bare_lab.write("README", "no program here\n")
    bare_lab.commit()
    done = bare_lab.overnight("loop", "start", "--experiments", "1", code=3)
    assert "program.md" in done.err


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["loop", "start", "--experimens", "3"], "--experiments"),
        (["loop", "strat"], "start"),
        (["experimets"], "experiments"),
    ],
)
def test_a_slip_of_the_finger_names_the_nearest(lab: Lab, arguments: list[str], nearest: str) -> None:
    done = lab.overnight(*arguments, code=2)
    assert nearest in done.err and done.out == ""


@pytest.mark.parametrize("value", ["five", "0s", ""])
def test_a_value_that_is_none(lab: Lab, value: str) -> None:
    done = lab.overnight("loop", "start", "--budget", value, code=2)
    assert "--budget" in done.err


def test_an_experiment_that_is_not_there(lab: Lab) -> None:
    lab.night("--experiments", "2", "--seed", "1")
    for command in ("experiment", "metrics", "log", "diff", "keep", "note"):
        more = ["a note"] if command == "note" else []
        done = lab.overnight(command, "77", *more, code=1)
        assert "77" in done.err, done


def test_a_repository_format_that_cannot_be_opened(place) -> None:
    """SHA-256 and reftable are announced defaults of git 3.0: a clear error, not a riddle."""
    for options in (["--object-format=sha256"], ["--ref-format=reftable"]):
        root = place.path / options[0].strip("-")
        made = place.command(["git", "init", "--quiet", *options, str(root)], place.path, code=None)
        if made.code != 0:
            continue  # this git cannot make one
        (root / "program.md").write_text("Explore.\n")
        place.command(["git", "add", "."], root)
        place.command(["git", "commit", "--quiet", "-m", "A lab"], root)
        from labs import Lab as Anywhere

        lab = object.__new__(Anywhere)
        lab.place, lab.root = place, root
        done = lab.overnight("loop", "start", "--experiments", "1", code=3)
        assert options[0].split("=")[1].replace("sha", "sha-") in done.err.lower() or \
            options[0].split("=")[1] in done.err.lower(), done


def test_the_wrong_folder_is_not_scanned(lab: Lab) -> None:
    """A folder of the repository is as good as its root."""
    folder = lab.root / "deep/er"
    folder.mkdir(parents=True)
    assert lab.overnight("experiments", cwd=folder).code == 0
    assert not (folder / ".git").exists()
    assert os.listdir(folder) == []


def test_a_program_that_breaks_in_the_night_is_waited_for(lab: Lab) -> None:
    program = (lab.root / "program.md").read_text()
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "4", "--seed", "1")
    lab.go(0)
    lab.has_started(1)
    lab.write("program.md", program.replace("budget:", "bugdet:"))
    lab.go(1)
    problem = until(lambda: lab.status()["problem"], "the problem is told")
    assert "line 5" in problem and "bugdet" in problem, problem
    assert lab.status()["state"] != "idle"
    lab.write("program.md", program)
    lab.go()
    lab.overnight("loop", "wait")
    lab.is_sound(4)
    assert lab.status()["problem"] is None
