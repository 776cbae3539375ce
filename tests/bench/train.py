"""How fast the bundled lab trains on a CPU, beside the same model in PyTorch.

    tests/bench/train.py [--seconds N] [--rounds N] [--threads N] [--data DIR] [--depth N …]

Runs target/release/train and peer_torch.py, eager and compiled, in turn, each for SECONDS and ROUNDS times: the same
sizes, threads and data. The sizes are those of train/src/main.rs; where they are not (the numbers of parameters and of
tokens in a step tell), it ends with an error. Prints a table, the median over the rounds.

PyTorch is installed below target/bench/torch on first use: a download of 0.6 GB, 1.5 GB on disk, and none of the CUDA
libraries that its wheel asks for, which would be 2.5 GB more. It links to them though it does not call them on a CPU;
in their place stand empty ones, which gcc builds. torch.compile needs g++ too.

A figure means something on a quiet machine alone: PyTorch's threads spin while they wait, and where others want the
same cores it falls to a tenth. There, `OMP_WAIT_POLICY=passive` in the environment is fairer to it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent.parent
PEER = Path(__file__).resolve().with_name("peer_torch.py")
OURS = ROOT / "target/release/train"
VENV = ROOT / "target/bench/torch"
TORCH = "2.15.0"
PACKAGES = [f"torch=={TORCH}", "nvidia-cuda-runtime==13.2.86", "nvidia-cuda-cupti==13.2.86", "nvidia-cufile==1.17.1.22",
            "numpy==2.4.6", "filelock==4.3.1", "typing-extensions==4.16.0", "sympy==1.14.0", "mpmath==1.3.0",
            "networkx==3.6.1", "jinja2==3.1.6", "markupsafe==3.0.4", "fsspec==2026.9.0", "setuptools==80.9.0"]
# What `import torch` loads of its own libraries.
LOADED = ("libtorch.so", "libtorch_cpu.so", "libtorch_cuda.so", "libtorch_nvshmem.so", "libtorch_python.so",
          "libc10_cuda.so")

# The sizes of train/src/main.rs.
SIZES = {"depth": 4, "width": 128, "head-dim": 32, "sequence": 256, "rows": 8, "accumulate": 1}

STEP = re.compile(r"^step (\d+) \(.*?\| loss: ([\d.]+) \|.*?\| tok/sec: ([\d,]+)", re.MULTILINE)
SUMMARY = re.compile(r"^(\w+): +([-\d.]+)$", re.MULTILINE)


@dataclass
class Ours:
    """What our program printed."""

    # By step; it prints at most some lines a second.
    losses: dict[int, float]
    tokens_per_second: float
    summary: dict[str, float]

    @property
    def tokens_per_step(self) -> float:
        """How many tokens it says a step takes."""
        return self.summary["total_tokens_M"] * 1e6 / self.summary["num_steps"]


def parse_ours(text: str) -> Ours:
    """Reads our step lines and our summary."""
    steps = [(int(step), float(loss), float(rate.replace(",", ""))) for step, loss, rate in STEP.findall(text)]
    summary = {name: float(value) for name, value in SUMMARY.findall(text.partition("\n---\n")[2])}
    if not steps or not {"total_tokens_M", "num_steps", "num_params_M"} <= summary.keys():
        fail(f"no step lines, or no summary, in what train printed:\n{text[-1000:]}")
    # The first tenth is a warm-up.
    rates = [rate for _, _, rate in steps][len(steps) // 10:]
    return Ours({step: loss for step, loss, _ in steps}, statistics.median(rates), summary)


def run_ours(program: Path, data: Path, **settings: object) -> Ours:
    """Runs our program on a data folder, with settings in its environment."""
    if not program.exists():
        fail(f"there is no {program}; build it first")
    if not (data / "manifest.json").exists():
        fail(f"{data} holds no manifest.json; prepare the data first: cargo run --release -p prepare")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "data").symlink_to(data.resolve())
        env = os.environ | {name: str(value) for name, value in settings.items()}
        done = subprocess.run([program.resolve()], check=False, cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode:
        fail(f"{program} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")
    return parse_ours(done.stdout)


def run_peer(python: Path, sizes: dict[str, int], **options: object) -> dict[str, Any]:
    """Runs the peer, and gives what it measured."""
    words = [f"--{name}={value}" for name, value in (sizes | options).items()]
    done = subprocess.run([python, PEER, *words], check=False, capture_output=True, text=True)
    if done.returncode:
        fail(f"{PEER.name} {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def check_same(ours: Ours, peer: dict[str, Any]) -> None:
    """Fails where the two are not the same model, or do not take the same steps."""
    params = peer["num_params"] / 1e6
    if abs(ours.summary["num_params_M"] - params) > 0.01 * params:
        fail(f"train has {ours.summary['num_params_M']} M parameters, the peer {params:.2f} M: give it train's sizes")
    if abs(ours.tokens_per_step - peer["tokens_per_step"]) > 0.01 * peer["tokens_per_step"]:
        fail(f"a step of train has {ours.tokens_per_step:.0f} tokens and the peer's {peer['tokens_per_step']}")


def fail(message: str) -> NoReturn:
    """Ends with a message."""
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


# PyTorch, without CUDA's libraries.


def python() -> Path:
    """The interpreter of PyTorch's own environment, made where it is not there."""
    if not (VENV / "ready").exists():
        print(f"installing PyTorch {TORCH} in {VENV}", file=sys.stderr)
        shutil.rmtree(VENV, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([VENV / "bin/pip", "install", "--quiet", "--no-deps", *PACKAGES], check=True)
        packages = next(VENV.glob("lib/python*/site-packages"))
        stand_in(packages / "torch/lib", packages / "nvidia/cu13/lib")
        subprocess.run([VENV / "bin/python", "-c", "import torch"], check=True)
        (VENV / "ready").touch()
    return VENV / "bin/python"


def output(*command: object) -> str:
    """What a command prints."""
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def stand_in(torch: Path, folder: Path) -> None:
    """Builds a library in the place of each of CUDA's that PyTorch links to and that is not there."""
    libraries = [torch / name for name in LOADED]
    headers = output("objdump", "-p", *libraries)
    there = {path.name for place in (torch, folder) for path in place.iterdir()}
    missing = {name for name in re.findall(r"NEEDED +(lib(?:cu|nv|nccl)\S+)", headers) if name not in there}
    # Which library each version of a symbol is asked from.
    asked = {version: library for library, versions in re.findall(r"required from (\S+):\n((?: +0x.*\n)+)", headers)
             for version in re.findall(r"(\S+)\n", versions)}
    symbols = output("nm", "-D", "--undefined-only", *libraries)
    functions = set(re.findall(r" U ((?:cu|nv|nccl)\w+)(?:@(\S+))?", symbols))
    for library in missing:
        build(folder / library, {pair for pair in functions if asked.get(pair[1]) == library})
    # NCCL's functions and cuSPARSELt's have no versions, so they may be in any library.
    build(folder / "libnccl.so.2", {pair for pair in functions if not pair[1]})


def build(library: Path, functions: set[tuple[str, str]]) -> None:
    """Builds a library of functions that do nothing but fail, each of a name and a version."""
    source = "".join(f"int {name}(void) {{ return 999; }}\n" for name, _ in functions)
    versions = {version: [name for name, of in functions if of == version] for _, version in functions if version}
    script = library.with_suffix(".map")
    script.write_text("".join(f"{version} {{ {'; '.join(names)}; }};\n" for version, names in versions.items()))
    versioned = [f"-Wl,--version-script={script}"] if versions else []
    subprocess.run(["gcc", "-shared", "-fPIC", "-w", "-xc", "-", "-o", library, f"-Wl,-soname,{library.name}",
                    *versioned], input=source, text=True, check=True)


# The bench.


def measure(arguments: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """Tokens a second and megabytes of each contender, round by round."""
    sizes = {name: getattr(arguments, name.replace("-", "_")) for name in SIZES}
    interpreter = python()
    found: dict[str, list[tuple[float, float]]] = {"ours": [], "PyTorch, eager": [], "PyTorch, compiled": []}
    for _ in range(arguments.rounds):
        ours = run_ours(OURS, arguments.data, OVERNIGHT_BUDGET_SECONDS=arguments.seconds, OVERNIGHT_SEED=42,
                        OVERNIGHT_DEVICE="cpu", RAYON_NUM_THREADS=arguments.threads)
        found["ours"].append((ours.tokens_per_second, ours.summary["peak_rss_mb"]))
        for name, mode in (("PyTorch, eager", "eager"), ("PyTorch, compiled", "compile")):
            peer = run_peer(interpreter, sizes, device="cpu", mode=mode, seconds=arguments.seconds,
                            threads=arguments.threads, data=arguments.data)
            check_same(ours, peer)
            found[name].append((peer["tokens_per_second"], peer["peak_memory_mb"]))
    return found


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, default=ROOT / "data")
    for name, value in SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    arguments = parser.parse_args()
    subprocess.run(["cargo", "build", "--release", "-q", "-p", "train"], cwd=ROOT, check=True)
    load = os.getloadavg()[0]
    found = measure(arguments)
    print(f"\n{arguments.threads} threads, {arguments.rounds} rounds of {arguments.seconds:g} s, PyTorch {TORCH}, "
          f"load before {load:.1f}\n\n| | tokens/s | to ours | peak memory |\n|---|---:|---:|---:|")
    base = statistics.median(rate for rate, _ in found["ours"])
    for name, rounds in found.items():
        rate, memory = (statistics.median(values) for values in zip(*rounds))
        print(f"| {name} | {rate:,.0f} | {rate / base:.2f} | {memory:,.0f} MB |")


if __name__ == "__main__":
    main()
