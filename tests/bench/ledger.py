"""The ledger at 100 to 100,000 experiments, beside DVC's experiments and MLflow on SQLite, on this machine.

    tests/.venv/bin/python tests/bench/ledger.py [--sizes 100,1000,10000] [--steps N] [--no-peers]

Ours: a lab is filled through the real append, a candidate and STEPS rows of metrics for each experiment (10, unless
told; 1,000 take some 10 kB each). Then: append, its median, 95th percentile, and by the first and the last tenth; the
table in a process that goes on (again, and after one more experiment) and in a kernel (`%experiments`); the table in a
new process, with the files beside the ledger and without; details of one experiment; a push of ten new ones to a bare
remote, a fetch with nothing new; `git gc`; bytes for each experiment, as it is and after `git gc`; and the researcher's
own git commands in the lab and in one without us.

The peers, each in a virtual environment below target/bench that is made where it is not there: `dvc exp save` and
`dvc exp show`, MLflow's `create_run` to `set_terminated` and `search_runs`, at as many experiments as they manage in
LIMIT seconds. A figure means something on a quiet machine alone; ratios are of one run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from conftest import fill
from labs import Lab
from places import BINARY, ROOT, Place

EXAMPLES = ROOT / "target/release/examples"
VENVS = ROOT / "target/bench"
PEERS = {"dvc": "dvc", "mlflow": "mlflow-skinny sqlalchemy alembic pandas"}
LIMIT = 120.0
USERS = {
    "git status": ["status"],
    "git log": ["log", "--oneline"],
    "git branch -a": ["branch", "-a"],
    "git log --all": ["log", "--all", "--oneline"],
}


def took(work: list[str], lab: Lab, times: int = 1) -> float:
    """Milliseconds that a command takes; the least of several, as what else the machine does only adds to it."""
    least = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        lab.place.command(work, lab.root, timeout=3600)
        least = min(least, (time.perf_counter() - began) * 1e3)
    return least


def ratio(work: list[str], lab: Lab, control: Lab) -> float:
    """How much longer a command takes in one lab than in another, by the least of many in turn."""
    both = [(took(work, lab), took(work, control)) for _ in range(30)]
    return min(ours for ours, _ in both) / min(theirs for _, theirs in both)


def example(name: str, lab: Lab, *args: str) -> dict[str, float]:
    """What one of the benches' own programs measures."""
    return json.loads(lab.place.command([str(EXAMPLES / name), str(lab.root), *args], lab.root, timeout=36000).out)


def git_size(lab: Lab) -> int:
    """Bytes of the git folder on the disk, without the files of ours beside the ledger."""
    def of(*path: str) -> int:
        return 1024 * int(subprocess.run(["du", "-sk", lab.root.joinpath(*path)], capture_output=True, text=True,
                                         check=True).stdout.split()[0])
    return of(".git") - of(".git", "overnight")


def ours(size: int, steps: int) -> dict[str, Any]:
    """Measures a ledger of that size."""
    place = Place()
    try:
        lab = fill(Lab(place))
        control = fill(Lab(place, "control"))
        lab.night("--experiments", "1")
        empty = git_size(lab)
        found: dict[str, Any] = example("fill", lab, str(size), str(steps))
        found |= {f"user {what}": ratio(["git", *words], lab, control) for what, words in USERS.items()}
        loose = lab.git("count-objects", "-v").split()
        found["loose objects"], found["packs"] = int(loose[1]), int(loose[loose.index("packs:") + 1])
        found["gc --auto would run"] = would_gc(lab)
        found["bytes each"] = (git_size(lab) - empty) / size
        cache = lab.root / ".git/overnight/cache"
        shutil.rmtree(cache, ignore_errors=True)
        found["cli without files"] = took([str(BINARY), "experiments"], lab)
        found["cli"] = took([str(BINARY), "experiments"], lab, 3)
        query = [str(BINARY), "sql", "SELECT status, count(*) FROM experiments GROUP BY status"]
        found["sql without files"] = took(query, lab)
        found["sql"] = took(query, lab, 3)
        found["cli, one experiment"] = took([str(BINARY), "experiment", str(size // 2)], lab, 3)
        found |= example("look", lab)
        found |= kernel(lab)
        found |= remote(lab)
        found["git gc"] = took(["git", "gc", "--quiet"], lab)
        found["bytes each, after git gc"] = (git_size(lab) - empty) / size
        lab.git("fsck", "--connectivity-only")
        return found
    finally:
        place.kill_all()
        place.remove()


def would_gc(lab: Lab) -> bool:
    """Whether git would clear up by itself after the researcher's next command: by its own rules."""
    objects = lab.root / ".git/objects"
    loose = len(list((objects / "17").iterdir())) if (objects / "17").exists() else 0
    return loose > (6700 + 255) // 256 or len(list((objects / "pack").glob("*.pack"))) > 50


def kernel(lab: Lab) -> dict[str, float]:
    """`%experiments` in a kernel: the first time, again, and after one more experiment."""
    from cells import Life, kernels
    life = Life(next(kernel for kernel in kernels() if kernel.name == "overnight"), lab)
    try:
        first = life.well("%experiments") * 1e3
        again = statistics.median(life.well("%experiments") * 1e3 for _ in range(10))
        example("fill", lab, "1", "10")
        return {"kernel, first": first, "kernel, again": again, "kernel, after one": life.well("%experiments") * 1e3}
    finally:
        life.end()


def remote(lab: Lab) -> dict[str, float]:
    """A push of ten new experiments, and a fetch of nothing."""
    bare = lab.place.path / "remote.git"
    lab.git("init", "--quiet", "--bare", str(bare))
    refs = "refs/overnight/*:refs/overnight/*"
    lab.git("push", "--quiet", str(bare), refs)
    example("fill", lab, "10", "10")
    pushed = took(["git", "push", "--quiet", str(bare), refs], lab)
    return {"push of ten": pushed, "fetch of nothing": took(["git", "fetch", "--quiet", str(bare), refs], lab)}


def python(peer: str) -> Path:
    """The interpreter of a peer's own environment, made where it is not there."""
    venv = VENVS / peer
    if not (venv / "ready").exists():
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "--quiet", *PEERS[peer].split()], check=True)
        (venv / "ready").touch()
    return venv / "bin/python"


def theirs(peer: str, size: int) -> dict[str, float] | None:
    """Measures a peer at that size, or at what it manages in time; None where it cannot be installed."""
    place = Place()
    try:
        program = str(Path(__file__).resolve().with_name(f"peer_{peer}.py"))
        done = subprocess.run([python(peer), program, str(size), str(LIMIT)], cwd=place.path, env=place.env,
                              capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])
    except subprocess.CalledProcessError as error:
        print(f"{peer} could not be measured: {error}\n{(error.stderr or '')[-500:]}", file=sys.stderr)
        return None
    finally:
        place.kill_all()
        place.remove()


ROWS = [
    ("append, median", "append_ms", "< 10 ms"),
    ("append, 95th percentile", "append_p95_ms", ""),
    ("append, in the first tenth", "first_tenth_ms", ""),
    ("append, in the last tenth", "last_tenth_ms", "flat"),
    ("packing, for each append", "tidy_ms_each", ""),
    ("table again, in a process that goes on", "records_again", "< 50 ms"),
    ("the same after one more experiment", "records_after_one", "< 50 ms"),
    ("frame again", "frame_again", "< 50 ms"),
    ("frame after one more experiment", "frame_after_one", "< 50 ms"),
    ("`%experiments` in a kernel, first", "kernel, first", "< 500 ms"),
    ("`%experiments` in a kernel, again", "kernel, again", "< 50 ms"),
    ("`%experiments` in a kernel, after one more", "kernel, after one", "< 50 ms"),
    ("`overnight experiments`, a new process", "cli", "< 500 ms"),
    ("the same, without the files beside the ledger", "cli without files", ""),
    ("`overnight sql`, a new process", "sql", "< 500 ms"),
    ("details of one experiment", "details", ""),
    ("`overnight experiment N`, a new process", "cli, one experiment", ""),
    ("push of ten new ones", "push of ten", ""),
    ("fetch of nothing", "fetch of nothing", ""),
    ("`git gc`", "git gc", ""),
    ("bytes for each experiment", "bytes each", ""),
    ("the same after `git gc`", "bytes each, after git gc", ""),
    ("loose objects", "loose objects", "< 6,700"),
    ("packs", "packs", "< 50"),
    ("`git gc --auto` would begin", "gc --auto would run", "no"),
    ("`git status`, to a lab without us", "user git status", "≤ 1.2"),
    ("`git log`, to a lab without us", "user git log", "≤ 1.2"),
    ("`git branch -a`, to a lab without us", "user git branch -a", "≤ 1.2"),
    ("`git log --all`, to a lab without us", "user git log --all", ""),
]


def shown(name: str, value: Any) -> str:
    """A figure as it stands in the table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return ""
    if name.startswith(("bytes", "loose", "packs")):
        return f"{value:,.0f}"
    text = f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
    return text if name.startswith("user") else f"{text} ms"


def main() -> None:
    """Measures each size in turn, with the peers beside it."""
    global LIMIT
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100,1000,10000")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--limit", type=float, default=LIMIT)
    parser.add_argument("--no-peers", action="store_true")
    arguments = parser.parse_args()
    LIMIT = arguments.limit
    subprocess.run(["cargo", "build", "--release", "-q", "-p", "overnight", "-p", "ledger", "-p", "frames",
                    "--bins", "--examples"], cwd=ROOT, check=True)
    sizes = [int(size) for size in arguments.sizes.split(",")]
    found, peers = {}, {}
    for size in sizes:
        print(f"{size} experiments", file=sys.stderr)
        found[size] = ours(size, arguments.steps)
        for peer in [] if arguments.no_peers else PEERS:
            # What a peer has not managed at a smaller size it does not manage at a larger one.
            if not any(known and known["experiments"] < asked for (name, asked), known in peers.items() if name == peer):
                peers[peer, size] = theirs(peer, size)
    print(f"\nload {os.getloadavg()[0]:.1f}, {arguments.steps} rows of metrics each\n")
    print("| | " + " | ".join(f"{size:,}" for size in sizes) + " | goal |\n|---|" + "---:|" * (len(sizes) + 1))
    for what, name, goal in ROWS:
        print(f"| {what} | " + " | ".join(shown(name, found[size].get(name)) for size in sizes) + f" | {goal} |")
    if not any(peers.values()):
        return
    print("\n| | theirs | ours | theirs to ours |\n|---|---:|---:|---:|")
    for (peer, size), known in peers.items():
        if known:
            count = int(known["experiments"])
            for what, name, own in (("append", "append_ms", "append_ms"),
                                    ("append, their command", "command_ms", "append_ms"), ("table, a new process", "first_ms", "cli"),
                                    ("table again", "again_ms", "kernel, again")):
                if name in known:
                    print(f"| {peer} at {count:,}, ours at {size:,}: {what} | {known[name]:,.1f} ms | "
                          f"{found[size][own]:,.1f} ms | {known[name] / found[size][own]:,.0f} |")


if __name__ == "__main__":
    main()
