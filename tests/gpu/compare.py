"""Our training on a GPU, beside the CPU and beside PyTorch. `tests/gpu/run` calls it.

    compare.py loss                   the small model for 50 steps on the CPU and on the GPU: how far the losses differ
    compare.py loss --binary TRAIN --device wgpu --steps 10 --tolerance 0.01
    compare.py speed --seconds 60     karpathy's sizes: tokens a second, MFU and memory, ours and PyTorch's
    compare.py all

Both of a part's runs see the same data; the loss is as the step lines print it, smoothed over some ten steps. A GPU's
memory is the most that nvidia-smi showed above what was in use before, the same for every contender. MFU is by
karpathy's estimate of the operations and the card's dense bfloat16 peak. What was measured also goes to $OUT/gpu.json,
or to last.json beside this file; the other part's figures that are there stay.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "bench"))

from train import ROOT, Ours, check_same, fail, run_ours, run_peer

LARGE, SMALL = HERE / "bin/train", HERE / "bin/train-small"
# The sizes of `train` with gpu.patch: karpathy's.
SIZES = {"depth": 8, "width": 512, "head-dim": 128, "sequence": 2048}
STEPS = 50
# In nats, of losses that fall from 6.9 to 4.1: bfloat16 differs by less (0.12 on an H200), a wrong kernel by more.
TOLERANCE = 0.2
# Longer than any run here: the schedule, which goes by time, stays where it begins.
FOREVER = 1_000_000


def loss(binary: Path, data: Path, device: str, steps: int, tolerance: float) -> dict[str, Any]:
    """The loss curves of the small model on the CPU and on the GPU."""
    cpu, gpu = (run_ours(binary, data, OVERNIGHT_DEVICE=where, OVERNIGHT_STEPS=steps, OVERNIGHT_SEED=42,
                         OVERNIGHT_BUDGET_SECONDS=FOREVER) for where in ("cpu", device))
    common = sorted(cpu.losses.keys() & gpu.losses.keys())
    if len(common) < steps // 2:
        fail(f"the two runs printed only {len(common)} steps in common, of {steps}: too few to compare")
    differences = {step: abs(cpu.losses[step] - gpu.losses[step]) for step in common}
    worst = max(common, key=lambda step: differences[step])
    last = common[-1]
    print(f"loss, {len(common)} steps: CPU {cpu.losses[last]:.4f} and GPU {gpu.losses[last]:.4f} at step {last}; "
          f"they differ by at most {differences[worst]:.6f}, at step {worst} (allowed: {tolerance})")
    return {"steps": common, "cpu": [cpu.losses[step] for step in common],
            device: [gpu.losses[step] for step in common],
            "max_difference": differences[worst], "agrees": differences[worst] <= tolerance}


class DeviceMemory:
    """Watches the GPU's memory; `peak_mb` is the most that was in use above what was before."""

    def __enter__(self) -> Self:
        self.before = self.used()
        self.peak_mb = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def watch(self) -> None:
        """Looks twice a second."""
        while not self.over.wait(0.5):
            self.peak_mb = max(self.peak_mb, self.used() - self.before)

    @staticmethod
    def used() -> int:
        """Megabytes in use on all GPUs."""
        command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        return sum(map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()))


def peer_sizes(ours: Ours, rows: int) -> dict[str, int]:
    """The peer's sizes: as many tokens in a step as ours, by forward passes of so many rows."""
    tokens, each = round(ours.tokens_per_step), rows * SIZES["sequence"]
    # Our summary rounds the number of tokens.
    accumulate = round(tokens / each)
    if not accumulate or abs(tokens - accumulate * each) > 0.01 * tokens:
        fail(f"a step of train has {tokens} tokens, no multiple of {rows} rows of {SIZES['sequence']}; change --rows")
    return SIZES | {"rows": rows, "accumulate": accumulate}


def speed(data: Path, seconds: float, rows: int) -> dict[str, Any]:
    """Tokens a second, MFU and memory of ours and of the peer."""
    with DeviceMemory() as memory:
        ours = run_ours(LARGE, data, OVERNIGHT_DEVICE="cuda", OVERNIGHT_BUDGET_SECONDS=seconds, OVERNIGHT_SEED=42)
    found: dict[str, dict[str, Any]] = {
        "ours": {"tokens_per_second": ours.tokens_per_second, "memory_mb": memory.peak_mb, "summary": ours.summary}}
    sizes = peer_sizes(ours, rows)
    for mode in ("eager", "compile"):
        with DeviceMemory() as memory:
            peer = run_peer(Path(sys.executable), sizes, device="cuda", mode=mode, seconds=seconds, data=data)
        check_same(ours, peer)
        found[f"PyTorch, {mode}"] = peer | {"memory_mb": memory.peak_mb}
    for row in found.values():
        rate = row["tokens_per_second"]
        row["mfu_percent"] = 100 * rate * peer["flops_per_token"] / peer["peak_flops"] if peer["peak_flops"] else None
    table(found, f"{peer['card']}, PyTorch {peer['torch']}, {seconds:g} s each, {peer['tokens_per_step']:,} tokens in "
                 f"a step, PyTorch's by {rows} rows")
    return {"card": peer["card"], "seconds": seconds, "sizes": sizes, "contenders": found}


def table(found: dict[str, dict[str, Any]], heading: str) -> None:
    """Prints what was measured."""
    print(f"\n{heading}\n\n| | tokens/s | to ours | MFU | memory |\n|---|---:|---:|---:|---:|")
    base = found["ours"]["tokens_per_second"]
    for name, row in found.items():
        mfu = "" if row["mfu_percent"] is None else f"{row['mfu_percent']:.1f}%"
        rate = row["tokens_per_second"]
        print(f"| {name} | {rate:,.0f} | {rate / base:.2f} | {mfu} | {row['memory_mb']:,} MB |", flush=True)


def keep(part: str, figures: dict[str, Any]) -> None:
    """Writes a part's figures to the JSON."""
    path = Path(os.environ["OUT"], "gpu.json") if os.environ.get("OUT") else HERE / "last.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | {part: figures}, indent=1) + "\n")


def main() -> None:
    """Measures the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["loss", "speed", "all"])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each contender trains")
    parser.add_argument("--rows", type=int, default=64, help="sequences in one forward pass of PyTorch's")
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="for `speed`: 8,192 token ids")
    parser.add_argument("--small-data", type=Path, help="for `loss`; the other's, unless told")
    parser.add_argument("--binary", type=Path, default=SMALL, help="for `loss`: the small model's")
    parser.add_argument("--device", choices=["cuda", "wgpu"], default="cuda", help="for `loss`")
    parser.add_argument("--steps", type=int, default=STEPS, help="for `loss`")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="for `loss`, in nats")
    arguments = parser.parse_args()
    agrees = True
    if arguments.part != "speed":
        curves = loss(arguments.binary, arguments.small_data or arguments.data, arguments.device, arguments.steps,
                      arguments.tolerance)
        keep("loss", curves)
        agrees = curves["agrees"]
    if arguments.part != "loss":
        keep("speed", speed(arguments.data, arguments.seconds, arguments.rows))
    sys.exit(0 if agrees else "compare.py: the losses on the CPU and on the GPU differ by more than rounding")


if __name__ == "__main__":
    main()
