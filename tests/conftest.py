"""Fixtures: a place for each test, and a lab in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from labs import HARNESS, TRAIN, Lab
from places import BINARY, SHARED, Place


def pytest_configure(config: pytest.Config) -> None:
    if not BINARY.exists():
        raise pytest.UsageError(f"{BINARY} is not there: run `cargo build --release -p overnight` first")
    if hasattr(config, "workerinput"):
        return  # The process that has started this one has done it.
    # Each kernel would build it for itself.
    cache = SHARED / "cache"
    (cache / "overnight/prelude").mkdir(parents=True, exist_ok=True)
    subprocess.run([str(BINARY), "prelude"], env=os.environ | {"XDG_CACHE_HOME": str(cache)}, check=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What takes longest begins first.
    items.sort(key=lambda item: item.get_closest_marker("quickstart") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    setattr(item, f"report_{report.when}", report)
    return report


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A folder of its own. A process left behind by a test that passed makes it fail."""
    place = Place()
    yield place
    passed = getattr(request.node, "report_call", None) is not None and request.node.report_call.passed
    left = place.quiet(20 if passed else 0)
    place.kill_all()
    if passed:
        place.remove()
    else:
        print(f"kept for a look: {place.path}")
    assert not passed or not left, f"left behind: {left}"


@pytest.fixture
def bare_lab(place: Place) -> Lab:
    """A repository without a file."""
    return Lab(place)


@pytest.fixture
def lab(bare_lab: Lab) -> Lab:
    """A committed lab whose experiments take a tenth of a second."""
    return fill(bare_lab)


@pytest.fixture
def make_lab(place: Place) -> Callable[..., Lab]:
    """Makes a committed lab with other settings than the usual ones."""
    return lambda name="lab", **settings: fill(Lab(place, name), **settings)


def fill(lab: Lab, **settings: Any) -> Lab:
    """Writes and commits the usual files."""
    lab.write("train.py", TRAIN)
    lab.write("harness.py", HARNESS)
    lab.write(".gitignore", "__pycache__/\n")
    lab.program(**settings)
    lab.commit()
    return lab
