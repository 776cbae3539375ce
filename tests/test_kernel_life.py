"""A kernel's life: how it ends, what it logs and where, and that abuse does not end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernels import Kernel, kernel
from labs import Lab, alive
from places import until

# A Jupyter server in small: it starts a kernel, has it start a loop, says so, and waits to be killed.
SERVER = """
import sys, time
from jupyter_client.manager import KernelManager

manager = KernelManager(kernel_name="overnight")
manager.start_kernel(cwd=sys.argv[1])
client = manager.client()
client.start_channels()
client.wait_for_ready(timeout=60)
client.execute_interactive("%loop start --experiments 3 --seed 1", timeout=60, output_hook=lambda message: None)
print(manager.provisioner.pid, flush=True)
time.sleep(1000)
"""


@pytest.fixture
def k(lab: Lab) -> Iterator[Kernel]:
    """A kernel in the usual lab."""
    with kernel(lab) as started:
        yield started


def test_the_kernel_ends_with_its_parent_and_the_loop_goes_on(lab: Lab) -> None:
    prefix = lab.place.path / "prefix"
    lab.overnight("install", "--prefix", str(prefix))
    lab.hold()
    env = lab.place.env | {"JUPYTER_PATH": str(prefix / "share/jupyter")}
    with subprocess.Popen([sys.executable, "-c", SERVER, str(lab.root)], env=env, stdout=subprocess.PIPE,
                          text=True) as server:
        pid = int(server.stdout.readline())
        lab.has_started(0)
        assert alive(pid)
        server.kill()
    died = time.monotonic()
    until(lambda: not alive(pid), "the kernel ends with its parent")
    print(f"the kernel ended {time.monotonic() - died:.1f} s after its parent")
    assert lab.status()["state"] == "running"
    lab.go()
    lab.overnight("loop", "wait")
    lab.is_sound(3)


def test_nothing_is_printed_on_the_servers_terminal(lab: Lab, tmp_path: Path) -> None:
    terminal = tmp_path / "terminal"
    with terminal.open("w") as output, kernel(lab, stdout=output, stderr=output) as started:
        for code in ("%experiments", "%nope", "!echo out; echo err >&2", "%sql SELECT * FROM nowhere"):
            started.execute(code)
        started.client.session.send(started.client.shell_channel.socket, "nonsense_request", {"x": 1})
        started.client.shell_channel.socket.send_multipart([b"<IDS|MSG>", b"", b"{", b"", b"", b""])
        assert started.execute("%experiments").status == "ok"
        log = Path(started.manager.connection_file).with_suffix(".log")
        until(lambda: "nonsense_request" in log.read_text(), "the log tells of it")
    assert terminal.read_text() == ""


def test_the_filter_of_the_log_is_set_by_the_environment(lab: Lab) -> None:
    lab.place.env["OVERNIGHT_LOG"] = "error"
    with kernel(lab) as quiet:
        quiet.execute("%experiments")
        log = Path(quiet.manager.connection_file).with_suffix(".log")
        assert log.read_text() == ""


def test_a_message_of_100_mb_is_survived(k: Kernel) -> None:
    session = k.client.session
    for kind, content in [("from_the_future", {"x": "a" * 100_000_000}),
                          ("execute_request", {"code": "// " + "a" * 100_000_000, "silent": False})]:
        message = session.msg(kind, content)
        k.client.shell_channel.send(message)
        k.wait_published("status", lambda content: content["execution_state"] == "idle")
    while k.client.shell_channel.msg_ready():
        k.client.get_shell_msg(timeout=1)
    assert k.execute("%cd").status == "ok"


def test_history_outlives_the_kernel(lab: Lab) -> None:
    with kernel(lab) as first:
        first.execute("%experiments")
        first.execute("!echo 🌙")
    with kernel(lab) as second:
        second.execute("%best", silent=True)
        tail = second.ask("history", hist_access_type="tail", n=2, raw=True, output=False)["history"]
        assert [entry[2] for entry in tail] == ["%experiments", "!echo 🌙"]
        before = second.ask("history", hist_access_type="range", session=-1, start=1, stop=2, raw=True,
                            output=False)["history"]
        assert [entry[1:] for entry in before] == [[1, "%experiments"]]
        found = second.ask("history", hist_access_type="search", pattern="!echo*", raw=True, output=False)["history"]
        assert len(found) == 1


def test_user_expressions_are_rust(k: Kernel) -> None:
    k.execute("let answer = 42;", timeout=240)
    reply = k.ask("execute", "", silent=True, user_expressions={"a": "answer + 1", "b": "nonsense"})
    assert reply["user_expressions"]["a"]["data"]["text/plain"] == "43"
    assert reply["user_expressions"]["b"]["status"] == "error"


def test_sigterm_ends_the_kernel_in_order(lab: Lab) -> None:
    started = Kernel(lab)
    started.execute("1 + 1", timeout=240)
    pid = started.pid
    os.kill(pid, signal.SIGTERM)
    until(lambda: not alive(pid), "the kernel ends")
    started.client.stop_channels()
    started.manager.cleanup_resources()
    assert lab.place.quiet() == {}
