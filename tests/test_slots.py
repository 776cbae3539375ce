"""Several runs at once: a GPU each, its use beside the loss, and fair shares of the processors.

No GPU is needed: an `nvidia-smi` of a few lines on the path plays as many as a test wants.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from labs import Lab, alive
from places import Place, until

# Answers as the real one does; `$GPUS/busy` holds what others run, `$GPUS/samplers` who samples.
NVIDIA_SMI = """\
#!/bin/sh
GPUS={folder}
case "$*" in
  *--query-gpu=index,uuid,name*)
    i=0
    while [ $i -lt {count} ]; do echo "$i, GPU-0000000$i, NVIDIA H100 80GB HBM3"; i=$((i + 1)); done ;;
  *--query-compute-apps=*) cat $GPUS/busy 2>/dev/null ;;
  *--loop-ms=*)
    for last; do :; done
    echo "$$ $last" >> $GPUS/samplers
    while :; do echo "93, 4506$last, 400.00"; sleep 0.1; done ;;
  *) exit 9 ;;
esac
exit 0
"""

# Prints what it was given, and waits until as many others as the test wants are on too.
TOGETHER = """\
import json, os, pathlib, sys, time
gate, wanted = pathlib.Path(sys.argv[1]), int(sys.argv[2])
number, seed = os.environ["OVERNIGHT_EXPERIMENT"], os.environ["OVERNIGHT_SEED"]
names = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "OVERNIGHT_SLOT", "OMP_NUM_THREADS", "RAYON_NUM_THREADS")
told = {name: os.environ.get(name) for name in names} | {"cores": sorted(os.sched_getaffinity(0))}
(gate / f"told-{number}.part").write_text(json.dumps(told))
(gate / f"told-{number}.part").rename(gate / f"told-{number}.json")
for step in range(3):
    print(f"step {step} | loss: {1 / (step + 1):.3f}", flush=True)
deadline = time.monotonic() + 60
if number != "0":
    while len(list(gate.glob("told-*.json"))) <= wanted and time.monotonic() < deadline:
        time.sleep(0.01)
import train
print("---")
print(f"val_bpb: {train.value():.6f}")
"""


@pytest.fixture
def gpus(place: Place) -> Callable[[int], Path]:
    """Puts so many GPUs into the machine, and returns the folder by which they are played."""
    def insert(count: int) -> Path:
        folder = place.path / "gpus"
        folder.mkdir()
        file = place.path / "bin/nvidia-smi"
        file.write_text(NVIDIA_SMI.format(folder=folder, count=count))
        file.chmod(0o755)
        place.env.pop("CUDA_VISIBLE_DEVICES", None)
        return folder
    return insert


def together(lab: Lab, wanted: int) -> None:
    lab.write("together.py", TOGETHER)
    lab.program(run=f"python3 -S together.py {lab.gate} {wanted}", timeout="120s")
    lab.commit()


def told(lab: Lab, number: int) -> dict:
    return json.loads((lab.gate / f"told-{number}.json").read_text())


def test_each_of_sixteen_slots_has_a_gpu(lab: Lab, gpus: Callable[[int], Path]) -> None:
    gpus(16)
    together(lab, 16)
    said = lab.night("--slots", "16", "--experiments", "17", "--seed", "5")
    assert "each of 16 slots has a GPU of its own" in said.out, said
    found = lab.is_sound(17)
    assert all(e["status"] in ("keep", "discard") for e in found), found
    given = {told(lab, e["number"])["OVERNIGHT_SLOT"]: told(lab, e["number"]) for e in found[1:]}
    assert sorted(given, key=int) == [str(slot) for slot in range(16)], "all sixteen were on at once"
    assert all(it["CUDA_VISIBLE_DEVICES"] == slot for slot, it in given.items()), given
    assert {it["CUDA_DEVICE_ORDER"] for it in given.values()} == {"PCI_BUS_ID"}
    # A GPU each: the number of slots is no part of what values are compared by.
    assert all("a run" not in e["environment"]["cpu"] for e in found)


def test_a_gpu_that_others_use_is_named_and_left_out(lab: Lab, gpus: Callable[[int], Path]) -> None:
    other = subprocess.Popen(["sleep", "300"])
    try:
        (gpus(2) / "busy").write_text(f"GPU-00000000, {other.pid}, /usr/bin/python3, 40312\n")
        together(lab, 0)
        said = lab.night("--experiments", "2")
    finally:
        other.kill()
        other.wait()
    assert f"GPU 0 (NVIDIA H100 80GB HBM3) is used by python3 (process {other.pid} of" in said.out, said
    assert "it is left out" in said.out and "40312 MB" in said.out
    assert told(lab, 1)["CUDA_VISIBLE_DEVICES"] == "1"


def test_more_slots_than_gpus_share_them(lab: Lab, gpus: Callable[[int], Path]) -> None:
    gpus(2)
    together(lab, 4)
    said = lab.night("--slots", "4", "--experiments", "5", "--seed", "5")
    assert "4 slots share 2 GPUs" in said.out, said
    found = lab.is_sound(5)
    assert sorted(told(lab, n)["CUDA_VISIBLE_DEVICES"] for n in range(1, 5)) == ["0", "0", "1", "1"]
    assert all("a GPU for 2 runs" in e["environment"]["cpu"] for e in found)


def test_the_callers_choice_is_respected(lab: Lab, gpus: Callable[[int], Path]) -> None:
    gpus(4)
    together(lab, 2)
    chosen = {"CUDA_VISIBLE_DEVICES": "3,GPU-00000001", "CUDA_DEVICE_ORDER": "FASTEST_FIRST"}
    lab.night("--slots", "2", "--experiments", "3", "--seed", "5", env=chosen)
    assert sorted(told(lab, n)["CUDA_VISIBLE_DEVICES"] for n in (1, 2)) == ["3", "GPU-00000001"]
    assert told(lab, 1)["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"


def test_what_a_gpu_does_stands_beside_the_loss(make_lab: Callable[..., Lab], gpus: Callable[[int], Path]) -> None:
    folder = gpus(1)
    lab = make_lab()
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "1")
    lab.has_started(0)
    # It is sampled while the run is on, at times before what that has printed is read.
    both = {"gpu_utilization", "loss"}
    slot = until(lambda: (s := lab.status()["slots"]) and both <= s[0]["last"].keys() and s[0], "the GPU is sampled")
    assert slot["last"]["gpu_power_w"] == 400 and "loss" in slot["last"]
    assert "GPU 93%, 45.1 GB, 400 W" in lab.overnight("loop", "status").out
    lab.go()
    until(lambda: lab.status()["state"] == "idle", "the loop is over")
    (found,) = lab.is_sound(1)
    assert found["summary"]["peak_gpu_memory_mb"] == 45060
    assert found["summary"]["mean_gpu_utilization"] == pytest.approx(93)
    assert found["summary"]["gpu_energy_wh"] > 0
    assert found["summary"]["peak_vram_mb"] == 45060.2, "what the run says itself stays"
    columns = lab.json("metrics", "0")["columns"]
    assert {"loss", "gpu_utilization", "gpu_memory_mb", "gpu_power_w"} <= columns.keys()
    sampled = [step for step, value in zip(columns["step"], columns["gpu_utilization"]) if value is not None]
    assert 2 in sampled, "at the last step that was printed when the run was held"
    # Who sampled is gone, and was no part of the run.
    pids = [int(line.split()[0]) for line in (folder / "samplers").read_text().splitlines()]
    assert len(pids) == 1 and not alive(pids[0])
    assert found["runs"][0]["exit"] == "0" and "note" not in found


def test_the_sampling_outlives_the_runner(lab: Lab, gpus: Callable[[int], Path]) -> None:
    gpus(1)
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "1")
    lab.has_started(0)
    lab.kill_runner()
    lab.overnight("loop", "resume")
    until(lambda: "gpu_utilization" in lab.status()["slots"][0]["last"], "the GPU is sampled")
    lab.go()
    until(lambda: lab.status()["state"] == "idle", "the loop is over")
    (found,) = lab.is_sound(1)
    assert len(found["runs"]) == 1 and found["summary"]["mean_gpu_utilization"] == pytest.approx(93)


def test_without_a_gpu_nothing_is_sampled(lab: Lab) -> None:
    lab.night("--experiments", "1")
    assert not [name for name in lab.json("metrics", "0")["columns"] if name.startswith("gpu_")]


def test_sixteen_slots_without_gpus_share_the_processors(lab: Lab) -> None:
    together(lab, 16)
    lab.night("--slots", "16", "--experiments", "33", "--seed", "5")
    found = lab.is_sound(33)
    assert all(e["status"] in ("keep", "discard") for e in found), found
    cores = sorted(os.sched_getaffinity(0))
    for each in found:
        share = told(lab, each["number"])
        assert len(share["cores"]) == max(1, len(cores) // 16) and set(share["cores"]) <= set(cores)
        assert share["OMP_NUM_THREADS"] == share["RAYON_NUM_THREADS"] == str(len(share["cores"]))
    held = [told(lab, e["number"])["cores"][0] for e in found[1:17]]
    if len(cores) < 16:
        counts = [held.count(core) for core in cores]
        assert max(counts) - min(counts) <= 1, "no core has more runs than another"


def test_a_share_of_the_processors_opens_an_epoch(lab: Lab) -> None:
    lab.night("--experiments", "2")
    lab.night("--experiments", "2", "--slots", "2")
    found = lab.is_sound(4)
    assert [e["parent"] is None for e in found] == [True, False, True, False], "a baseline on the new terms"
    assert "cores a run" in found[2]["environment"]["cpu"] or "a core for" in found[2]["environment"]["cpu"]
    assert "a run" not in found[0]["environment"]["cpu"]


def test_one_slot_has_the_whole_machine_and_the_callers_threads(lab: Lab) -> None:
    together(lab, 0)
    lab.night("--experiments", "1")
    assert told(lab, 0)["cores"] == sorted(os.sched_getaffinity(0)) and told(lab, 0)["OMP_NUM_THREADS"] is None
    lab.night("--experiments", "1", "--slots", "2", "--tag", "two", env={"OMP_NUM_THREADS": "7"})
    assert told(lab, 0)["OMP_NUM_THREADS"] == "7"
