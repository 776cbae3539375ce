"""What the loop itself takes, on this machine: time for each experiment, an idle runner's processor time, memory.

    tests/.venv/bin/python tests/bench/overhead.py [--sizes 0,1000,10000] [--experiments N] [--idle SECONDS]

A lab whose run takes a few milliseconds, with the `search` proposer. For each size the ledger is filled with that many
experiments, and the loop goes on from there for N more: the time from its first proposal to its end that no run has
taken, for each experiment; the processor time of the runner; the most that it held of memory (resident and
proportional set size); system calls that wait for the disk, and git processes, where `strace` is there. Then a run that
sleeps and a paused loop: processor time of runner and shim over SECONDS.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from conftest import fill
from kernel import rest
from labs import Lab
from places import ROOT, Place, until

TICK = os.sysconf("SC_CLK_TCK")
RUN = "awk '{sum += ($3 - 0.3) ^ 2} END {print \"val_bpb: \" sum}' train.py"
# Eight constants, so that no night tries all of them.
TRAIN = "LR = 0.04\n" + "".join(f"RATE_{i} = 0.{i + 1}\n" for i in range(7))


def processor(pid: int) -> float:
    """Seconds of processor time that a process has had, and those of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / TICK


def own(pid: int) -> float:
    """The same without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:13]) / TICK


def resident(pid: int) -> float:
    """MB that a process has in memory, files that others share among them."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no VmRSS of process {pid}")


def made(place: Place, name: str, run: str = RUN) -> Lab:
    """A lab with eight constants."""
    lab = fill(Lab(place, name), run=run)
    lab.write("train.py", TRAIN)
    lab.commit("Eight constants")
    return lab


def entries(lab: Lab) -> list[dict[str, Any]]:
    """The journal."""
    return [json.loads(line) for line in (lab.state / "events.jsonl").read_text().splitlines()]


def at(entry: dict[str, Any]) -> float:
    """When something happened, in seconds."""
    # Python's clock has microseconds, the journal's nanoseconds.
    return datetime.fromisoformat(re.sub(r"\.(\d{6})\d*", r".\1", entry["at"])).timestamp()


def night(lab: Lab, experiments: int) -> dict[str, float]:
    """What the loop takes for each of so many more experiments."""
    before = len(entries(lab))
    lab.overnight("loop", "start", "--experiments", str(experiments), "--agent", "search")
    pid = lab.runner()
    held = shared = used = children = 0.0
    while True:
        try:
            held, shared = max(held, resident(pid)), max(shared, rest(pid))
            used, children = own(pid), processor(pid)
        except (OSError, RuntimeError):
            break
        time.sleep(0.2)
    until(lambda: lab.status()["pid"] is None, "the runner has ended", 600)
    new = entries(lab)[before:]
    done = [entry for entry in new if entry["event"] == "recorded"]
    assert len(done) == experiments, f"{len(done)} of {experiments} are recorded"
    running = sum(entry["seconds"] for entry in new if entry["event"] == "run_ended")
    # From one record to the next: what the first one takes is told apart, for it reads the ledger.
    first = next(entry for entry in new if entry["event"] == "proposing")
    ends = [at(entry) for entry in done]
    steps = [later - earlier for earlier, later in zip(ends, ends[1:])]
    each = running / len(done)
    return {"first": ends[0] - at(first) - each, "each": statistics.mean(steps) - each,
            "median": statistics.median(steps) - each, "own cpu": used / experiments,
            "all cpu": children / experiments, "resident": held, "proportional": shared}


def counted(lab: Lab, experiments: int) -> str:
    """How often the disk is waited for and git is started, for each experiment."""
    trace = lab.place.path / "trace"
    runner = ["strace", "-f", "-o", str(trace), "-e", "trace=fsync,fdatasync,execve"]
    lab.place.command([*runner, str(ROOT / "target/release/overnight"), "loop", "start", "--wait", "--experiments",
                       str(experiments), "--agent", "search"], lab.root, timeout=600)
    lines = trace.read_text().splitlines()
    def count(*marks: str) -> float:
        return sum(all(mark in line for mark in marks) and "= -1" not in line for line in lines) / experiments
    return (f"for each experiment: {count('sync(') - count('resumed'):.1f} waits for the disk, "
            f"{count('execve(', '/git'):.1f} git processes, {count('execve('):.1f} processes in all")


def idle(place: Place, seconds: int) -> dict[str, float]:
    """Shares of a core that runner and shim take while a run sleeps, and the runner while the loop is paused."""
    lab = made(place, "idle", run=f"echo 'val_bpb: 1.5'; test -e {place.path}/go || sleep 3600")
    (place.path / "go").touch()
    lab.night("--experiments", "1")
    (place.path / "go").unlink()
    lab.overnight("loop", "start", "--experiments", "5")
    runner = lab.runner()
    until(lambda: (slots := lab.status()["slots"]) and slots[0]["phase"] == "running", "a run sleeps")
    time.sleep(2)
    shim = next(pid for pid, line in place.processes().items() if " shim " in line)
    before = own(runner), own(shim)
    time.sleep(seconds)
    found = {"runner, a run sleeps": (own(runner) - before[0]) / seconds,
             "shim, a run sleeps": (own(shim) - before[1]) / seconds}
    lab.overnight("loop", "pause")
    before = own(runner), 0
    time.sleep(seconds)
    found["runner, paused"] = (own(runner) - before[0]) / seconds
    lab.overnight("loop", "stop", "--now")
    return found


def main() -> None:
    """Measures all of it in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="0,1000,10000")
    parser.add_argument("--experiments", type=int, default=200)
    parser.add_argument("--idle", type=int, default=60)
    arguments = parser.parse_args()
    subprocess.run(["cargo", "build", "--release", "-q", "-p", "overnight", "-p", "ledger", "--bins", "--examples"],
                   cwd=ROOT, check=True)
    place = Place()
    try:
        print("| experiments in the ledger | each, mean | median | first | its own processor time | with children | "
              "resident | proportional |\n|---:|---:|---:|---:|---:|---:|---:|---:|")
        for size in [int(size) for size in arguments.sizes.split(",")]:
            lab = made(place, f"lab{size}")
            lab.night("--experiments", "1")
            if size:
                lab.place.command([str(ROOT / "target/release/examples/fill"), str(lab.root), str(size), "10"],
                                  lab.root, timeout=36000)
            found = night(lab, arguments.experiments)
            times = " | ".join(f"{found[name] * 1e3:,.0f} ms" for name in ("each", "median", "first", "own cpu", "all cpu"))
            print(f"| {size:,} | {times} | {found['resident']:.0f} MB | {found['proportional']:.0f} MB |", flush=True)
        if subprocess.run(["which", "strace"], capture_output=True, check=False).returncode == 0:
            print(counted(lab, 20))
        if arguments.idle:
            for what, share in idle(place, arguments.idle).items():
                print(f"{what}: {share:.2%} of a core")
    finally:
        place.kill_all()
        place.remove()


if __name__ == "__main__":
    main()
