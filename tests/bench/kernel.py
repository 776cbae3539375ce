"""The kernel against its peers, on this machine, in one run.

    tests/.venv/bin/python tests/bench/kernel.py [--rounds N]

Measures ours, ipykernel, and evcxr_jupyter where it is installed, in turn: from the start of the process to
`kernel_info_reply`; the round trip of the smallest magic (or expression), median and 95th percentile; lines per
second of a cell that prints 100,000; memory at rest. Prints a Markdown table with the ratios to ipykernel.
A figure means something on a quiet machine alone.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.connect import write_connection_file

from conftest import fill
from labs import Lab
from places import BINARY, Place

LINES = 100_000
TRIPS = 500


@dataclass
class Kernel:
    """A kernel to measure: how it is started, what is asked of it, and what came out."""

    name: str
    argv: list[str]
    smallest: str
    printing: str
    warm: str = ""
    start: list[float] = field(default_factory=list)
    trips: list[float] = field(default_factory=list)
    lines: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


def kernels() -> list[Kernel]:
    """Those that are there; ipykernel is the measure of all."""
    print_rust = f'for i in 0..{LINES} {{ println!("line {{i}}"); }}'
    found = [
        Kernel("overnight", [str(BINARY), "kernel", "--connection-file", "{connection_file}"],
               "%cd", f"!seq -f 'line %.0f' {LINES}"),
        Kernel("ipykernel", [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
               "%pwd", f"for i in range({LINES}): print('line', i)"),
    ]
    if evcxr := shutil.which("evcxr_jupyter"):
        found.append(Kernel("evcxr_jupyter", [evcxr, "--control_file", "{connection_file}"], "1", print_rust, "1"))
    return found


def rest(pid: int) -> float:
    """MB that a process alone would give back (proportional set size)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no Pss of process {pid}")


def measure(kernel: Kernel, lab: Lab) -> None:
    """One life of a kernel, started here: Jupyter's kernel manager takes longer to start than some kernels."""
    file = str(lab.place.path / f"run/{time.monotonic_ns()}.json")
    write_connection_file(file)
    client = BlockingKernelClient(connection_file=file)
    client.load_connection_file()
    # zeromq tries to connect ten times a second: too seldom to time a start by.
    client.context.reconnect_ivl = 1
    client.start_channels(iopub=False, stdin=False, hb=False, control=False)
    argv = [part.format(connection_file=file) for part in kernel.argv]
    began = time.perf_counter()
    process = subprocess.Popen(argv, env=lab.place.env, cwd=lab.root)
    client.kernel_info()
    client.get_shell_msg(timeout=120)
    kernel.start.append(time.perf_counter() - began)
    try:
        client.start_channels()
        client.wait_for_ready(timeout=120)
        kernel.memory.append(rest(process.pid))
        if kernel.warm:
            client.execute_interactive(kernel.warm, timeout=300, output_hook=lambda message: None)
        for _ in range(TRIPS // 5):
            trip = time.perf_counter()
            done(client, client.execute(kernel.smallest))
            kernel.trips.append(time.perf_counter() - trip)
        began = time.perf_counter()
        text = done(client, client.execute(kernel.printing))
        kernel.lines.append(LINES / (time.perf_counter() - began))
        assert text.count("\n") == LINES, f"{kernel.name} lost lines: {text.count(chr(10))}"
    finally:
        client.shutdown()
        client.stop_channels()
        process.wait(60)


def done(client: BlockingKernelClient, request: str) -> str:
    """Waits for a cell's reply and its `idle`, and returns what it printed."""
    text = []
    while True:
        message = client.get_iopub_msg(timeout=120)
        if message["parent_header"].get("msg_id") != request:
            continue
        if message["msg_type"] == "stream":
            text.append(message["content"]["text"])
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            break
    while client.get_shell_msg(timeout=120)["parent_header"].get("msg_id") != request:
        pass
    return "".join(text)


def table(found: list[Kernel]) -> str:
    """The figures side by side."""
    rows = [
        ("start to `kernel_info_reply`", "≤ 0.1", lambda k: statistics.median(k.start) * 1000, "ms", False),
        ("smallest magic, median", "≤ 0.3", lambda k: statistics.median(k.trips) * 1000, "ms", False),
        ("smallest magic, 95th percentile", "≤ 0.3", lambda k: statistics.quantiles(k.trips, n=20)[-1] * 1000, "ms",
         False),
        (f"{LINES:,} printed lines", "≥ 3", lambda k: statistics.median(k.lines), "lines/s", True),
        ("memory at rest", "≤ 0.3", lambda k: statistics.median(k.memory), "MB", False),
    ]
    peer = next(k for k in found if k.name == "ipykernel")
    names = [k.name for k in found]
    text = [f"| | {' | '.join(names)} | overnight to ipykernel | goal |", "|---|" + "---:|" * (len(found) + 2)]
    for what, goal, figure, unit, _ in rows:
        shown = [f"{figure(k):,.{0 if figure(k) >= 100 else 2}f} {unit}" for k in found]
        text.append(f"| {what} | {' | '.join(shown)} | {figure(found[0]) / figure(peer):.2f} | {goal} |")
    return "\n".join(text)


def main() -> None:
    """Measures in turn, so that whatever else the machine does meets all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    place = Place()
    lab = fill(Lab(place))
    found = kernels()
    try:
        for number in range(rounds):
            for kernel in found:
                print(f"round {number + 1} of {rounds}: {kernel.name}", file=sys.stderr)
                measure(kernel, lab)
    finally:
        place.kill_all()
        place.remove()
    print(table(found))


if __name__ == "__main__":
    main()
