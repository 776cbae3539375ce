"""Every CUDA kernel that training launches, compiled by NVRTC on a machine without a card.

    compile.py                          builds train with `cuda`, and takes its first steps on a stand-in for the driver
    compile.py --binary TRAIN --data data --arch 80

`stand_in.c` is the driver: it computes nothing, and the loss is 0. NVRTC, the headers and the assembler are NVIDIA's
own, installed below target/gpu by pip. Shown are what a step launches, the memory that is reserved, and each kernel with
its launches in a step, its threads in one, registers, and bytes that did not fit into registers, which the card would
fetch from memory again and again. Ends with 1 where a kernel does not compile.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "bench"))

from train import ROOT, fail, run_ours

HOME = ROOT / "target/gpu/cuda"
WHEELS = [
    "nvidia-cuda-nvrtc-cu12==12.9.86", "nvidia-cuda-runtime-cu12==12.9.79", "nvidia-cuda-cccl-cu12==12.9.27",
    "nvidia-cuda-nvcc-cu12==12.9.86",
]
# What is compiled at run time is compared, so the rest is not made fast: the flags of tests/gpu/kernels.
LOOSE = ["--release", "--config", "profile.release.package.fused.opt-level=0",
         "--config", "profile.release.package.fused.codegen-units=16"]


def toolkit() -> tuple[Path, Path]:
    """The folder of the libraries, with the stand-in among them, and the assembler."""
    nvidia, libraries = HOME / "wheels/nvidia", HOME / "lib"
    wanted, installed = "\n".join(WHEELS), HOME / "installed.txt"
    if not installed.exists() or installed.read_text() != wanted:
        shutil.rmtree(HOME, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", HOME / "venv"], check=True)
        subprocess.run([HOME / "venv/bin/pip", "install", "-q", "--disable-pip-version-check", "--no-deps",
                        "--target", HOME / "wheels", *WHEELS], check=True)
        for part in sorted(nvidia.glob("*/include")):
            shutil.copytree(part, HOME / "include", dirs_exist_ok=True)
        libraries.mkdir()
        for library in (nvidia / "cuda_nvrtc/lib").glob("*.so*"):
            (libraries / library.name).symlink_to(library)
        (libraries / "libnvrtc.so").symlink_to(nvidia / "cuda_nvrtc/lib/libnvrtc.so.12")
        installed.write_text(wanted)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-o", libraries / "libcuda.so",
                    HERE / "stand_in.c"], check=True)
    assembler = nvidia / "cuda_nvcc/bin/ptxas"
    assembler.chmod(0o755)
    return libraries, assembler


def build() -> Path:
    """Our training for CUDA, as the working tree has it."""
    folder = ROOT / "target/gpu"
    subprocess.run(["cargo", "build", *LOOSE, "-p", "train", "--features", "cuda", "--target-dir", folder],
                   cwd=ROOT, check=True)
    return folder / "release/train"


@dataclass(frozen=True)
class Kernel:
    """One kernel and how it was launched."""
    number: int
    launches: int
    threads: int
    tensor: bool
    name: str


@dataclass(frozen=True)
class Taken:
    """What so many steps and the evaluation after them have launched."""
    kernels: dict[int, Kernel]
    memory_mb: float

    @property
    def launches(self) -> int:
        return sum(kernel.launches for kernel in self.kernels.values())


def take(steps: int, binary: Path, data: Path, arch: int, libraries: Path, ptx: Path) -> Taken:
    """Takes steps on the stand-in."""
    log = ptx / "launches.tsv"
    # The driver's tool, which training asks for the card's name and capability.
    tool = ptx / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho stand-in, {arch / 10}\n")
    tool.chmod(0o755)
    ours = run_ours(binary, data, PATH=f"{ptx}:{os.environ['PATH']}", CUDA_PATH=HOME, LD_LIBRARY_PATH=libraries,
                    CUDA_STAND_IN_ARCH=arch, CUDA_STAND_IN_LOG=log, CUDA_STAND_IN_PTX=ptx, OVERNIGHT_DEVICE="cuda",
                    OVERNIGHT_STEPS=steps)
    kernels = {}
    for line in log.read_text().splitlines():
        number, launches, threads, kind, name = line.split("\t")
        kernels[int(number)] = Kernel(int(number), int(launches), int(threads), kind == "tensor", name)
    return Taken(kernels, ours.summary["peak_vram_mb"])


def assembled(assembler: Path, ptx: Path, arch: int) -> tuple[int, int]:
    """Registers of a thread, and bytes that did not fit into them."""
    done = subprocess.run([assembler, "-v", f"-arch=sm_{arch}{'a' if arch >= 90 else ''}", ptx, "-o", "/dev/null"],
                          check=False, capture_output=True, text=True)
    if done.returncode:
        fail(f"{ptx} cannot be assembled:\n{done.stderr[-2000:]}")
    registers = re.search(r"Used (\d+) registers", done.stderr)
    spilled = re.search(r"(\d+) bytes spill stores", done.stderr)
    return int(registers[1]) if registers else 0, int(spilled[1]) if spilled else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, help="another train than the one of the working tree")
    parser.add_argument("--data", type=Path, default=ROOT / "data")
    parser.add_argument("--arch", type=int, default=90, help="the compute capability, 10 times")
    parser.add_argument("--top", type=int, default=25, help="how many kernels are shown, those with the most threads")
    options = parser.parse_args()
    libraries, assembler = toolkit()
    binary = options.binary or build()
    with tempfile.TemporaryDirectory() as folder:
        ptx = Path(folder)
        one, two = (take(steps, binary, options.data, options.arch, libraries, ptx) for steps in (1, 2))
        print(f"{len(two.kernels)} kernels compiled for sm_{options.arch}; a step launches "
              f"{two.launches - one.launches:,}; {two.memory_mb:,.0f} MB reserved\n")
        print("| kernel | launches a step | threads a launch | registers | not in registers | matrix unit |\n"
              "|---|---:|---:|---:|---:|---|")
        shown = sorted(two.kernels.values(), key=lambda kernel: -kernel.threads)
        for at, kernel in enumerate(shown):
            registers, spilled = assembled(assembler, ptx / f"{kernel.number}.ptx", options.arch)
            if at >= options.top and not spilled:
                continue
            before = one.kernels.get(kernel.number)
            launches = kernel.launches - (before.launches if before else 0)
            print(f"| {kernel.name[:60]} | {launches:,} | {kernel.threads // kernel.launches:,} | {registers} | "
                  f"{spilled} | {'yes' if kernel.tensor else ''} |")


if __name__ == "__main__":
    main()
