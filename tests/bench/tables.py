"""SQL over a large ledger, and the metrics of a run while it prints, on this machine.

    tests/.venv/bin/python tests/bench/tables.py [--experiments N] [--seconds N]

SQL: a ledger of N experiments of 100 steps each (10,000 and a million rows, unless told), three queries, from sending
the cell to its reply with the table shown; the first of a kernel and the median of ten later ones; beside ipykernel
with Python's polars on the same tables, exported to Parquet (`tests/.venv/bin/pip install polars`).

The stream: a run prints 100 steps a second for N seconds, each with the time when it was printed; how old the newest
row is when a cell shows it, by SQL and in a Rust cell. Then a run prints a million steps: the memory of the kernel and
of the process of Rust cells before and after they hold them all.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import time
from importlib.util import find_spec

from cells import Kernel, Life, kernels
from kernel import rest

from conftest import fill
from labs import Lab
from places import BINARY, ROOT, SHARED, Place, until

STEPS = 100
MILLION = 1_000_000
QUERIES = {
    "group the experiments": "SELECT status, count(*) AS n, avg(value) AS value FROM experiments GROUP BY status",
    "group the rows": "SELECT step, avg(loss) AS loss FROM metrics GROUP BY step ORDER BY step",
    "join both": "SELECT e.status, avg(m.loss) AS loss FROM metrics m JOIN experiments e ON m.experiment = e.number "
                 "GROUP BY e.status",
}
PRINTING = """\
import sys, time
count, pause, origin = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
begin = time.time()
for step in range(count):
    print(f"step {step} | loss: {1 + 1 / (step + 1)} | lr: {1e-3 / (step + 1)} | at: {time.time() - origin:.3f}", flush=pause > 0)
    time.sleep(max(0, begin + pause * step - time.time()) if pause else 0)
print("val_bpb: 1.0", flush=True)
time.sleep(3600 if count == 1_000_000 else 0)
"""


def ours() -> Kernel:
    """Our kernel."""
    return next(kernel for kernel in kernels() if kernel.name == "overnight")


def queries(place: Place, experiments: int) -> None:
    """Measures SQL over a ledger of that size."""
    lab = fill(Lab(place, "large"))
    lab.night("--experiments", "1")
    fill_ledger = ROOT / "target/release/examples/fill"
    subprocess.run(["cargo", "build", "--release", "-q", "-p", "overnight", "-p", "ledger", "--example", "fill"],
                   cwd=ROOT, check=True)
    subprocess.run([fill_ledger, lab.root, str(experiments), str(STEPS)], env=place.env, check=True)
    began = time.monotonic()
    lab.overnight("export", "--to", "parquet", "all", timeout=3600)
    print(f"`overnight export` of {experiments} experiments, nothing being kept yet: {time.monotonic() - began:.1f} s")
    asked = {"overnight": ("", "%%sql\n{}")}
    if find_spec("polars"):
        prepare = ("import polars as pl\ncontext = pl.SQLContext(experiments=pl.read_parquet('all/experiments.parquet'), "
                   "metrics=pl.read_parquet('all/metrics.parquet'))")
        asked["ipykernel"] = (prepare, "context.execute('''{}''', eager=True)")
    figures = {}
    for kernel in [kernel for kernel in kernels() if kernel.name in asked]:
        prepare, form = asked[kernel.name]
        life = Life(kernel, lab)
        if prepare:
            life.well(prepare)
        for what, query in QUERIES.items():
            figures[kernel.name, what + ", first"] = life.well(form.format(query))
            figures[kernel.name, what] = statistics.median(life.well(form.format(query)) for _ in range(10))
        life.end()
    print("| | " + " | ".join(asked) + " |\n|---|" + "---:|" * len(asked))
    for what in [f"{query}{which}" for query in QUERIES for which in (", first", "")]:
        print(f"| {what} (ms) | " + " | ".join(f"{figures[name, what] * 1000:.0f}" for name in asked) + " |")


def stream(place: Place, seconds: int) -> None:
    """Measures how far behind the tables are while a run prints."""
    origin = time.time()
    run = f"python3 -S printing.py {100 * (seconds + 120)} 0.01 {origin}"
    lab = fill(Lab(place, "stream"), run=run, budget="1h", timeout="2h")
    lab.write("printing.py", PRINTING)
    lab.commit()
    lab.overnight("loop", "start", "--experiments", "1")
    life = Life(ours(), lab)
    shows = {
        "SQL": "%%sql\nSELECT max(at) AS at FROM metrics",
        "a Rust cell": 'metrics("running")?.column("at")?.f64()?.max()',
    }
    has_printed(lab, 1)
    for what, code in shows.items():
        shown(life, code)
        ages = []
        end = time.monotonic() + seconds / 2
        while time.monotonic() < end:
            newest = shown(life, code)
            ages.append(time.time() - origin - newest)
        print(f"the newest row when {what} has shown it, in {len(ages)} cells: median {statistics.median(ages):.2f} s, "
              f"at most {max(ages):.2f} s")
    life.end()
    lab.overnight("loop", "stop", "--now")


def shown(life: Life, code: str) -> float:
    """The number that a cell shows: in a table of its own, or as Rust writes it."""
    request = life.client.execute(code)
    text = ""
    while True:
        message = life.client.get_iopub_msg(timeout=600)
        if message["parent_header"].get("msg_id") != request:
            continue
        text = message["content"].get("data", {}).get("text/plain", text)
        if message["content"].get("execution_state") == "idle":
            return float(re.findall(r"^(?:Some\()?\s*(\d[\d.]*)\)?\s*$", text, re.MULTILINE)[-1])


def has_printed(lab: Lab, rows: int) -> None:
    """Waits until a run has printed so many rows."""
    files = lab.place.path / "cache/overnight"
    until(lambda: any(file.read_bytes().count(b"\n") >= rows for file in files.glob(f"{lab.root.name}-*/runs/*/metrics.jsonl")),
          f"{rows} rows are printed", 600, pause=0.5)


def million(place: Place) -> None:
    """Measures what a million rows cost."""
    lab = fill(Lab(place, "million"), run=f"python3 -S printing.py {MILLION} 0 0", budget="1h", timeout="2h")
    lab.write("printing.py", PRINTING)
    lab.commit()
    life = Life(ours(), lab)
    query = "%%sql\nSELECT count(*) AS n, avg(loss) FROM metrics"
    life.well("let mut m = experiments()?;")
    life.well("%%sql\nSELECT count(*) AS n FROM metrics")
    cells = users_process(life.process.pid)
    before = rest(life.process.pid), rest(cells)
    lab.overnight("loop", "start", "--experiments", "1")
    has_printed(lab, MILLION)
    first, later = life.well(query), life.well(query)
    rust = life.well('m = metrics("running")?;')
    after = rest(life.process.pid), rest(cells)
    print(f"a million rows: first query {first:.2f} s, a later one {later:.2f} s, a Rust cell that takes them "
          f"{rust:.2f} s; the kernel grew by {after[0] - before[0]:.0f} MB, the process of Rust cells by "
          f"{after[1] - before[1]:.0f} MB")
    life.end()
    lab.overnight("loop", "stop", "--now")


def users_process(kernel: int) -> int:
    """The process that runs the code of Rust cells: the last one down from the kernel."""
    def children(pid: int) -> list[int]:
        listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout
        return [int(child) for child in listed.split()]
    last, below = kernel, children(kernel)
    while below:
        last, below = below[-1], children(below[-1])
    return last


def main() -> None:
    """Measures all of it in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    place = Place()
    subprocess.run([str(BINARY), "prelude"], env=place.env | {"XDG_CACHE_HOME": str(SHARED / "cache")}, check=True)
    try:
        queries(place, arguments.experiments)
        stream(place, arguments.seconds)
        million(place)
    finally:
        place.kill_all()
        place.remove()


if __name__ == "__main__":
    main()
