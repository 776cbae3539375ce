"""DVC's experiments, for `ledger.py`: `peer_dvc.py EXPERIMENTS SECONDS` in an empty folder, by the Python of DVC's own
environment. Parameters and metrics are written and saved by `Repo.experiments.save` in one process, until so many are
there or the time is over; then three by `dvc exp save`, which adds its own start, and `dvc exp show --json`, twice.
Prints JSON.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

count, limit = int(sys.argv[1]), float(sys.argv[2])
os.environ["DVC_NO_ANALYTICS"] = "true"
real, sys.stdout = sys.stdout, sys.stderr  # DVC chats on stdout.
dvc = str(Path(sys.executable).parent / "dvc")


def sh(*words):
    """Runs a command and gives how many milliseconds it took."""
    began = time.perf_counter()
    subprocess.run(words, capture_output=True, check=True)
    return (time.perf_counter() - began) * 1e3


root = Path("dvc").resolve()
root.mkdir()
os.chdir(root)
for words in ("git init -q -b main", "git config user.name Ada", "git config user.email ada@example.org",
              "git config gc.auto 0", f"{dvc} init -q", f"{dvc} config core.analytics false",
              f"{dvc} config core.check_update false"):
    sh(*words.split())
Path("params.yaml").write_text("lr: 0.1\n")
Path("metrics.json").write_text("{}\n")
Path("train.py").write_text("print()\n")
Path("dvc.yaml").write_text(f"stages:\n  train:\n    cmd: {sys.executable} train.py\n    deps: [train.py]\n"
                            "    params: [lr]\n    metrics:\n      - metrics.json:\n          cache: false\n")
sh("git", "add", "-A")
sh("git", "commit", "-qm", "start")

from dvc.repo import Repo

repo, times, begun = Repo(str(root)), [], time.perf_counter()


def changed():
    """Has a run leave other parameters and metrics."""
    lr = random.random()
    Path("params.yaml").write_text(f"lr: {lr}\n")
    Path("metrics.json").write_text(json.dumps({f"m{k}": lr * k for k in range(10)}))


for number in range(count):
    began = time.perf_counter()
    changed()
    repo.experiments.save(name=f"e{number}", force=True)
    times.append((time.perf_counter() - began) * 1e3)
    if time.perf_counter() - begun > limit:
        break
found, commands = {"experiments": len(times), "append_ms": statistics.median(times)}, []
for number in range(3):
    changed()
    commands.append(sh(dvc, "exp", "save", "--force", "--name", f"command{number}"))
found["command_ms"] = statistics.median(commands)
found["first_ms"], found["again_ms"] = sh(dvc, "exp", "show", "--json"), sh(dvc, "exp", "show", "--json")
print(json.dumps(found), file=real)
