"""A loop of sandboxed runs on a real GPU: what the tests elsewhere play with an `nvidia-smi` of a few lines.

    loop.py target/release/overnight      as root and as an ordinary user; needs git and a python3 with PyTorch

A small lab trains on the GPU within the sandbox and tries what it must not do. Checked is that it trained, that it was
denied the rest, that utilization, memory and power stand beside its loss, and that the card is empty afterwards. Prints
one line for each, and ends with 1 where one does not hold.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROGRAM = """\
---
editable: train.py
run: python3 train.py
metric: loss
direction: minimize
budget: 8s
timeout: 120s
---
Fit a square.
"""

TRAIN = '''\
"""Fits a large matrix on the GPU for the budget, and tries what a run must not do."""

import os
import socket
import time
from pathlib import Path

import torch

RATE = 0.5  # 0.05..2.0 log


def denied(attempt) -> int:
    """1 where it is refused."""
    try:
        attempt()
    except OSError:
        return 1
    return 0


secret = Path(os.environ.get("HOME", "/root"), "overnight-secret")
print(f"secret_denied: {denied(secret.read_text)}")
print(f"writing_denied: {denied(lambda: Path(__file__).resolve().parents[1].joinpath('left').write_text('x'))}")
print(f"network_denied: {denied(lambda: socket.create_connection(('127.0.0.1', 22), timeout=2))}")
torch.manual_seed(1)
goal = torch.randn(4096, 4096, device="cuda")
weights = torch.zeros_like(goal, requires_grad=True)
through = torch.randn(4096, 4096, device="cuda") / 64
began, step = time.monotonic(), 0
while time.monotonic() - began < float(os.environ["OVERNIGHT_BUDGET_SECONDS"]):
    loss = ((weights @ through - goal) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        weights -= RATE * 4096 * 64 * weights.grad
        weights.grad = None
    if step % 20 == 0:
        print(f"step {step} loss: {loss.item():.6f}", flush=True)
    step += 1
print(f"devices: {torch.cuda.device_count()}")
print(f"loss: {loss.item():.6f}")
'''


class Checks:
    """What held and what did not."""

    failed = 0

    def check(self, what: str, holds: bool, found: object = "") -> None:
        """One line, and the count of those that do not hold."""
        print(f"{'ok     ' if holds else 'FAILED '} {what}  {found}", flush=True)
        self.failed += not holds


def smi(query: str, kind: str = "gpu") -> list[str]:
    """What nvidia-smi answers, a line each."""
    command = ["nvidia-smi", f"--query-{kind}={query}", "--format=csv,noheader,nounits"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]


def main() -> None:
    """Runs the loop and checks what it left."""
    overnight = Path(sys.argv[1]).resolve()
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="gpu-") as folder:
        home, lab = Path(folder, "home"), Path(folder, "lab")
        home.mkdir()
        lab.mkdir()
        (home / "overnight-secret").write_text("a key")
        (lab / "program.md").write_text(PROGRAM)
        (lab / "train.py").write_text(TRAIN)
        env = os.environ | {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "GIT_CONFIG_GLOBAL": "/dev/null"}
        git = ["git", "-c", "user.name=A", "-c", "user.email=a@b"]
        for command in [[*git, "init", "-q"], [*git, "add", "."], [*git, "commit", "-qm", "A lab"]]:
            subprocess.run(command, cwd=lab, env=env, check=True)

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [str(overnight), *arguments]
            return subprocess.run(command, cwd=lab, env=env, capture_output=True, text=True, timeout=500)

        def asked(*arguments: str) -> Any:
            return json.loads(run("--json", *arguments).stdout)

        before = sum(int(used) for used in smi("memory.used"))
        print(run("doctor").stdout)
        night = run("loop", "start", "--wait", "--experiments", "3")
        checks.check("the loop ends well", night.returncode == 0, night.stdout[-800:] + night.stderr[-800:])
        found = asked("experiments")["experiments"]
        checks.check("every run trained", [e["status"] for e in found if e["value"] is None] == [] and len(found) == 3,
                     [(e["status"], e["value"]) for e in found])
        for each in found:
            kept = {name: each["summary"].get(name) for name in
                    ("secret_denied", "writing_denied", "network_denied", "devices")}
            checks.check(f"run {each['number']} was denied the rest", set(kept.values()) == {1}, kept)
            figures = {name: each["summary"].get(name) for name in
                       ("mean_gpu_utilization", "peak_gpu_memory_mb", "gpu_energy_wh")}
            checks.check("its GPU was watched", all(value and value > 0 for value in figures.values()), figures)
        columns = asked("metrics", "0")["columns"]
        wanted = {"loss", "gpu_utilization", "gpu_memory_mb", "gpu_power_w"}
        checks.check("figures stand beside the loss", wanted <= columns.keys(), sorted(columns))
        deadline = time.monotonic() + 20
        while (after := sum(int(used) for used in smi("memory.used"))) > before + 64 and time.monotonic() < deadline:
            time.sleep(0.2)
        checks.check("the card is empty afterwards", after <= before + 64, f"{before} MB before, {after} after")
        if found and found[0]["value"] is None:
            print(run("log", "0").stdout[-3000:])
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
