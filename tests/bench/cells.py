"""Rust cells with polars against their peers, on this machine, in one run.

    tests/.venv/bin/python tests/bench/cells.py [--rounds N]

For each kernel: from the start of its process to the first result of a query over a frame; the same once it has
idled for as long as that took (ours has a worker ready then, where the notebook holds Rust); the median of ten
later cells; from an interrupt of an endless loop to the next result, and whether a variable outlived it. Ours needs
what `overnight prelude` builds. ipykernel is measured with Python's polars where that is installed beside it
(`tests/.venv/bin/pip install polars`), evcxr_jupyter with `:dep polars` where it is installed (a quarter of an hour a round).
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
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.connect import write_connection_file

from conftest import fill
from labs import Lab
from places import BINARY, Place

PATIENCE = 3600
RUST = 'df!("a" => [1i64, 2, {n}])?.lazy().select([col("a").sum()]).collect()?'


@dataclass
class Kernel:
    """A kernel to measure: how it is started, what it is asked, and what came out."""

    name: str
    argv: list[str]
    prepare: str
    query: str
    keep: str
    endless: str
    kept: str
    figures: dict[str, list[float]] = field(default_factory=dict)

    def note(self, what: str, value: float) -> None:
        """Keeps a figure."""
        print(f"{self.name}: {what}: {value:.3f} s", file=sys.stderr, flush=True)
        self.figures.setdefault(what, []).append(value)


def kernels() -> list[Kernel]:
    """Those that are there."""
    found = [Kernel("overnight", [str(BINARY), "kernel", "--connection-file", "{connection_file}"], "", RUST,
                    "let kept = 1;", 'println!("on"); let mut n = 0u64; loop { n += 1; }', "kept")]
    if find_spec("polars"):
        found.append(Kernel(
            "ipykernel", [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "import polars as pl", 'pl.DataFrame({{"a": [1, 2, {n}]}}).lazy().select(pl.col("a").sum()).collect()',
            "kept = 1", 'print("on", flush=True)\nn = 0\nwhile True: n += 1', "kept"))
    if evcxr := shutil.which("evcxr_jupyter"):
        found.append(Kernel(
            "evcxr_jupyter", [evcxr, "--control_file", "{connection_file}"],
            ':dep polars = { version = "=0.55.2", features = ["lazy"] }\nuse polars::prelude::*;', RUST,
            "let kept = 1;", 'println!("on"); let mut n = 0u64; loop { n += 1; }', "kept"))
    return found


class Life:
    """One life of a kernel."""

    def __init__(self, kernel: Kernel, lab: Lab) -> None:
        file = str(lab.place.path / f"run/{time.monotonic_ns()}.json")
        write_connection_file(file)
        self.client = BlockingKernelClient(connection_file=file)
        self.client.load_connection_file()
        self.client.context.reconnect_ivl = 1
        self.client.start_channels(stdin=False, hb=False)
        notebook = lab.root / "rust.ipynb"
        cell = {"cell_type": "code", "source": "1 + 1", "metadata": {}, "outputs": [], "execution_count": None}
        notebook.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
        self.began = time.monotonic()
        env = lab.place.env | {"JPY_SESSION_NAME": str(notebook)}
        argv = [part.replace("{connection_file}", file) for part in kernel.argv]
        self.process = subprocess.Popen(argv, env=env, cwd=lab.root)

    def run(self, code: str) -> tuple[str, float]:
        """How a cell ended, and how long it took."""
        began = time.monotonic()
        request = self.client.execute(code)
        while True:
            reply = self.client.get_shell_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == request:
                return reply["content"]["status"], time.monotonic() - began

    def well(self, code: str) -> float:
        """How long a cell took that must succeed."""
        status, seconds = self.run(code)
        assert status == "ok", code
        return seconds

    def end(self) -> None:
        """Ends it."""
        self.client.shutdown()
        self.process.wait(60)
        self.client.stop_channels()


def measure(kernel: Kernel, lab: Lab) -> None:
    """One round."""
    life = Life(kernel, lab)
    if kernel.prepare:
        life.well(kernel.prepare)
    life.well(kernel.query.format(n=0))
    first = time.monotonic() - life.began
    kernel.note("start to the first result", first)
    later = [life.well(kernel.query.format(n=n)) for n in range(1, 11)]
    kernel.note("a later cell", statistics.median(later))
    life.well(kernel.keep)
    request = life.client.execute(kernel.endless)
    while life.client.get_iopub_msg(timeout=PATIENCE)["content"].get("text", "").strip() != "on":
        pass
    began = time.monotonic()
    if kernel.name == "ipykernel":
        life.process.send_signal(2)
    else:
        life.client.control_channel.send(life.client.session.msg("interrupt_request", {}))
    while life.client.get_shell_msg(timeout=PATIENCE)["parent_header"].get("msg_id") != request:
        pass
    status, _ = life.run(kernel.kept)
    kernel.note("interrupt to the next result", time.monotonic() - began)
    kernel.note("variable kept", float(status == "ok"))
    life.end()

    if kernel.name == "evcxr_jupyter":
        # It would build polars again, and be no more ready than before.
        return
    life = Life(kernel, lab)
    time.sleep(first + 5)
    seconds = (life.well(kernel.prepare) if kernel.prepare else 0.0) + life.well(kernel.query.format(n=0))
    kernel.note("the first result after a pause", seconds)
    life.end()


def main() -> None:
    """Measures all of them in turn, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    place = Place()
    subprocess.run([str(BINARY), "prelude"], env=os.environ | {"XDG_CACHE_HOME": place.env["XDG_CACHE_HOME"]}, check=True)
    lab = fill(Lab(place))
    found = kernels()
    try:
        for _ in range(rounds):
            for kernel in found:
                measure(kernel, lab)
    finally:
        place.kill_all()
        place.remove()
    print("| | " + " | ".join(kernel.name for kernel in found) + " |")
    print("|---|" + "---:|" * len(found))
    for what in found[0].figures:
        known = [kernel.figures.get(what) for kernel in found]
        cells = [f"{statistics.median(figures):.3g}" if figures else "" for figures in known]
        print(f"| {what} (s) | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
