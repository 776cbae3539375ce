"""What an experiment costs does not grow with the ledger: counted, never timed."""

from __future__ import annotations

import shutil
import textwrap

from labs import Lab
from places import Place

# The git that the runner starts, which writes down what it is asked for.
GIT = """\
#!/bin/sh
echo "$@" >> "{log}"
exec "{git}" "$@"
"""


def counting(place: Place) -> None:
    """Puts a git on the path that counts."""
    wrapper = place.path / "bin/git"
    wrapper.write_text(textwrap.dedent(GIT).format(log=place.path / "asked", git=shutil.which("git")))
    wrapper.chmod(0o755)


def asked(place: Place) -> int:
    """How often git was started since the last time."""
    log = place.path / "asked"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return len(lines)


def objects(lab: Lab) -> int:
    """How many loose objects there are."""
    return int(lab.git("count-objects").split()[0])


def test_a_later_experiment_starts_as_many_processes_and_leaves_as_much_as_an_early_one(place: Place, lab: Lab) -> None:
    counting(place)
    lab.night("--experiments", "2")
    costs = []
    for _ in range(3):
        asked(place)
        before = objects(lab)
        lab.night("--experiments", "8")
        processes = asked(place)
        costs.append((processes, objects(lab) - before))
    lab.is_sound(26)
    (first, made), *later = costs
    assert first <= 4 * 8, f"{first} git processes for 8 experiments"
    for processes, left in later:
        assert processes <= first, costs
        # Trees of a hundred entries are reached within the first hundred experiments; their number does not change.
        assert left <= made + 8, costs


def test_what_the_loop_writes_is_packed_before_git_would_clear_up(place: Place, lab: Lab) -> None:
    lab.night("--experiments", "2")
    before = objects(lab)
    lab.night("--experiments", "135", "--agent", "search")
    found = objects(lab)
    # A dozen objects for each would be 1,600.
    assert found - before < 900, f"{found} loose objects"
    assert list((lab.root / ".git/objects/pack").glob("*.pack"))
    assert not (lab.root / ".git/gc.log").exists()
    lab.is_sound(137)


def test_deleting_what_lies_beside_the_ledger_loses_nothing(lab: Lab) -> None:
    lab.night("--experiments", "3")
    lab.overnight("note", "1", "worth a second look")
    before = lab.experiments()
    for name in ("cache", "packs", "packing"):
        path = lab.state / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    assert lab.experiments() == before
    assert lab.json("sql", "SELECT number, notes FROM experiments WHERE notes IS NOT NULL")
