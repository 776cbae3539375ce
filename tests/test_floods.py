"""Output of any size and kind costs bounded memory and disk, and what counts is found in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from labs import Lab
from places import until

# The second run only waits, so that the runner can be looked at after it has recorded the first.
HEAD = """\
import os, sys, time
out = sys.stdout.buffer
if os.environ["OVERNIGHT_EXPERIMENT"] != "0":
    print('val_bpb: 1.5', flush=True)
    while not os.path.exists(GATE + '/end'):
        time.sleep(0.01)
    raise SystemExit
"""

# Each prints some hundreds of megabytes, or a million lines, in its own bad way.
FLOODS = {
    "one endless line": "for _ in range(400):\n    out.write(b'x' * (1 << 20))\nout.write(b'\\n')\n",
    "binary": "noise = os.urandom(1 << 20)\nfor _ in range(300):\n    out.write(noise)\nout.write(b'\\n')\n",
    "zero bytes": "for _ in range(300):\n    out.write(bytes(1 << 20))\nout.write(b'\\n')\n",
    "a million names": "for i in range(1000000):\n    out.write(b'metric_%d: %d\\n' % (i, i))\n",
    "long names": "for i in range(3000):\n    out.write(b'm' * 60000 + b'_%d: 1\\n' % i)\n",
    "colours": "for i in range(500000):\n    out.write(b'\\x1b[31mstep %d\\x1b[0m | loss: 1.5\\n' % i)\n",
    "a million rows": "for i in range(1000000):\n    out.write(b'step %d | loss: 1.5 | lr: 0.1 | mfu: 39%%\\n' % i)\n",
    "empty lines": "for _ in range(100):\n    out.write(b'\\n' * (1 << 20))\n",
}
TAIL = """\
out.flush()
print('---')
print('val_bpb: 1.25', flush=True)
open(GATE + '/printed', 'w').close()
while not os.path.exists(GATE + '/open'):
    time.sleep(0.01)
"""


def peak(pid: int) -> float:
    """The most memory that a process has had, in megabytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood(make_lab, kind: str) -> None:
    lab = make_lab(timeout="5m", budget="2m")
    # Not `train.py` itself: a flood is the same whoever proposes it.
    lab.write("flood.py", f"GATE = {str(lab.gate)!r}\n" + HEAD + FLOODS[kind] + TAIL)
    lab.program(run="python3 -S flood.py", timeout="5m", budget="2m")
    lab.commit()
    lab.overnight("loop", "start", "--experiments", "2")
    until((lab.gate / "printed").exists, "everything is printed", 240)
    shim = [pid for pid, line in lab.place.processes().items() if " shim " in line]
    assert len(shim) == 1
    runner = lab.runner()
    of_shim, before = peak(shim[0]), peak(runner)
    (lab.gate / "open").touch()
    until(lambda: lab.count("run_started") == 2, "it is recorded", 240)
    of_runner = peak(runner)
    (lab.gate / "end").touch()
    lab.overnight("loop", "wait")
    found = lab.is_sound(2)[0]
    assert found["value"] == 1.25, found["reason"]
    used = sum(f.stat().st_size for f in lab.place.path.rglob("*") if f.is_file() and not f.is_symlink()) >> 20
    print(f"{kind}: shim {of_shim:.0f} MB, runner {before:.0f} and then {of_runner:.0f} MB, disk {used} MB")
    assert of_shim < 64, f"the shim took {of_shim:.0f} MB"
    assert of_runner < 400, f"the runner took {of_runner:.0f} MB"
    assert used < 200, f"{used} MB on disk"
    if kind not in ("a million names", "colours", "a million rows"):
        assert "bytes of the log were cut" in lab.json("log", "0")["log"]
