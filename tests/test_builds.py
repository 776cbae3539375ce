"""Each candidate is built in its slot's own folder, and what ran is what was built of it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable

import pytest

from labs import Lab

CARGO = """\
[package]
name = "counter"
version = "0.1.0"
edition = "2021"
"""
LOCK = """\
version = 4

[[package]]
name = "counter"
version = "0.1.0"
"""
MAIN = """\
const STEPS: u64 = 64; // one of: 8, 16, 32, 64, 128, 256, 512

fn main() {
    println!("---\\nval_bpb: {STEPS}");
}
"""


@pytest.mark.skipif(not shutil.which("cargo"), reason="cargo is not there")
def test_the_binary_that_ran_was_the_candidates(bare_lab: Lab) -> None:
    """With two slots at once, and sources so alike that only a build of its own tells them apart."""
    lab = bare_lab
    lab.write("Cargo.toml", CARGO)
    lab.write("Cargo.lock", LOCK)
    lab.write("src/main.rs", MAIN)
    lab.write(".gitignore", "target/\n")
    lab.program(editable="src/main.rs", build="cargo build --release --offline --quiet",
                run="target/release/counter", caches=["target/"])
    lab.commit()
    lab.night("--experiments", "7", "--slots", "2", "--seed", "3")
    found = lab.is_sound(7)
    for each in found:
        source = lab.git("show", f"{each['candidate']}:src/main.rs")
        steps = re.search(r"STEPS: u64 = (\d+)", source)
        assert steps and each["value"] == float(steps[1]), each
        assert each["environment"]["toolchain"].startswith("rustc ")
        assert each["environment"]["locks"] == {"Cargo.lock": lab.git("rev-parse", "HEAD:Cargo.lock").strip()}
    assert len({each["value"] for each in found}) > 3, "the proposer tried different things"
    assert not (lab.root / "target").exists(), "nothing is built in the researcher's checkout"


def test_a_slots_caches_are_a_copy_of_the_first_ones(make_lab: Callable[..., Lab]) -> None:
    """What slot 0 downloaded or compiled for the baseline is there in slot 1, and is not shared with it."""
    build = "mkdir -p cache && { [ -e cache/made-by ] || echo $OVERNIGHT_SLOT > cache/made-by; } && " \
            "echo $OVERNIGHT_EXPERIMENT >> cache/seen"
    lab = make_lab(build=build, caches=["cache/"])
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "3", "--slots", "2", "--seed", "1")
    lab.go(0)
    lab.has_started(1)
    lab.has_started(2)
    trees = sorted(p.parent for p in lab.place.path.joinpath("cache").rglob("cache/made-by"))
    lab.go()
    lab.overnight("loop", "wait")
    lab.is_sound(3)
    assert len(trees) == 2, trees
    assert [(tree / "made-by").read_text().strip() for tree in trees] == ["0", "0"]
    first, second = sorted((tree / "seen").read_text().split() for tree in trees)
    # The copy may have been made before or after the build of experiment 1; later builds are each slot's own.
    assert first == ["0", "1"] and second in (["0", "2"], ["0", "1", "2"])
