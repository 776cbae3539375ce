"""Interrupts at the hardest moments, by message and by signal: the cell ends, and nothing else does."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kernels import Kernel, kernel
from labs import Lab

FOREVER = "loop { std::thread::sleep(std::time::Duration::from_millis(10)); }"


@pytest.fixture(scope="module")
def k() -> Iterator[Kernel]:
    """One kernel for all of them, as a person's: what one interrupt breaks, the next test finds broken."""
    from conftest import fill
    from places import Place

    place = Place()
    lab = fill(Lab(place))
    with kernel(lab) as started:
        assert started.execute("1 + 1", timeout=240).status == "ok"
        yield started
    left = place.quiet()
    place.kill_all()
    place.remove()
    assert not left, f"left behind: {left}"


def by_message(k: Kernel) -> None:
    assert k.interrupt()["status"] == "ok"


def by_signal(k: Kernel) -> None:
    os.kill(k.pid, signal.SIGINT)


def begun(content: dict[str, Any]) -> bool:
    return "begun" in content.get("text", "")


# What runs, and the message that tells that the moment has come.
MOMENTS = {
    "before it is known": ("%sql SELECT 1", None, None),
    "compiling": (f"fn compiled() -> u8 {{ {FOREVER} }}\ncompiled()", "execute_input", None),
    "running": (f'println!("begun"); {FOREVER}', "stream", begun),
    "computing": ('println!("begun"); let mut n = 0u64; loop { n = std::hint::black_box(n.wrapping_add(1)); }',
                  "stream", begun),
    "waiting for input": ("%env --ask NAME", "execute_input", None),
    "a magic streams": ("!echo begun; yes", "stream", begun),
    "a child that ignores it": ("%%bash\ntrap '' INT TERM; echo begun; while true; do sleep 0.1; done", "stream", begun),
    "a timed cell": ("%%time\n!echo begun; sleep 1000", "stream", begun),
}


@pytest.mark.parametrize("interrupt", [by_message, by_signal])
@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt_ends_the_cell_and_nothing_else(
    k: Kernel, moment: str, interrupt: Callable[[Kernel], None]
) -> None:
    code, kind, holds = MOMENTS[moment]
    request = k.send(code, allow_stdin=True)
    queued = k.send("%cd", stop_on_error=False)
    if kind:
        k.wait_published(kind, holds or (lambda content: True))
    interrupt(k)
    reply = k.reply(k.client.get_shell_msg, request, time.monotonic() + 60)["content"]
    # Where the moment is "before", it may have ended by itself.
    assert reply["status"] == "error" or kind is None, reply
    assert reply["status"] == "ok" or reply["ename"] == "Interrupted", reply
    after = k.reply(k.client.get_shell_msg, queued, time.monotonic() + 60)["content"]
    # Where the first had ended by then, it was the queued one's turn.
    assert after["status"] in ("aborted", "ok") or kind is None and after["ename"] == "Interrupted", after
    assert k.execute("%cd").status == "ok"
    assert k.execute("!echo alive").text.strip() == "alive"


def test_rust_lives_on_after_all_of_that(k: Kernel) -> None:
    assert "42" in k.execute("6 * 7", timeout=240).text


def test_an_interrupt_of_nothing_is_forgotten(k: Kernel) -> None:
    for interrupt in (by_message, by_signal, by_message):
        interrupt(k)
        cell = k.execute("!sleep 0.1; echo whole")
        assert cell.status == "ok" or interrupt is by_signal, "a signal may come late, a message may not"
    assert k.execute("!echo whole").text.strip() == "whole"
