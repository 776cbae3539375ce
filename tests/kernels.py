"""A strict Jupyter client for the tests: starts the kernel as Jupyter does, and collects what a cell says."""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import nbformat
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from jupyter_kernel_test.msgspec_v5 import schema_fragments, validate_message

from labs import Lab
from places import PATIENCE

Message = dict[str, Any]
METADATA = {"kernelspec": {"name": "overnight", "display_name": "Overnight (Rust)", "language": "rust"}}


def book(*cells: str) -> nbformat.NotebookNode:
    """A notebook of code cells for our kernel."""
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=METADATA)


def valid(message: Message) -> Message:
    """Checks a message as the strictest client would: against the protocol's schema for its type.

    The schema calls a reply "abort" that the protocol's text and every kernel call "aborted".
    """
    if message["msg_type"] in schema_fragments and message["content"].get("status") != "aborted":
        validate_message(message)
    return message


@dataclass
class Cell:
    """All that came of one execution."""

    reply: Message
    messages: list[Message] = field(default_factory=list)

    @property
    def status(self) -> str:
        """`ok`, `error` or `aborted`."""
        return self.reply["content"]["status"]

    def of(self, kind: str) -> list[Message]:
        """The contents of the messages of one type."""
        return [m["content"] for m in self.messages if m["msg_type"] == kind]

    @property
    def data(self) -> list[dict[str, Any]]:
        """Every MIME bundle, in order."""
        kinds = ("execute_result", "display_data", "update_display_data")
        return [m["content"]["data"] for m in self.messages if m["msg_type"] in kinds]

    @property
    def text(self) -> str:
        """Everything to be read: streams, plain forms of bundles, and errors."""
        streams = "".join(content["text"] for content in self.of("stream"))
        plain = "\n".join(str(bundle.get("text/plain", "")) for bundle in self.data)
        errors = "\n".join(f"{e['ename']}: {e['evalue']}\n" + "\n".join(e["traceback"]) for e in self.of("error"))
        return f"{streams}{plain}\n{errors}"

    @property
    def mimes(self) -> set[str]:
        """Every MIME type that was shown."""
        return {mime for bundle in self.data for mime in bundle}


class Kernel:
    """A kernel process and one client of it."""

    def __init__(self, lab: Lab, **more: Any) -> None:
        prefix = lab.place.path / "prefix"
        if not prefix.exists():
            lab.overnight("install", "--prefix", str(prefix))
        specs = KernelSpecManager(kernel_dirs=[str(prefix / "share/jupyter/kernels")], ensure_native_kernel=False)
        self.manager = KernelManager(kernel_name="overnight", kernel_spec_manager=specs)
        self.manager.connection_file = str(lab.place.path / f"run/kernel-{time.monotonic_ns()}.json")
        self.manager.start_kernel(env=lab.place.env, cwd=str(lab.root), **more)
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    # -- asking

    def execute(self, code: str, timeout: float = PATIENCE, **options: Any) -> Cell:
        """Runs a cell to its end."""
        return self.collect(self.client.execute(code, **options), timeout)

    def send(self, code: str, **options: Any) -> str:
        """Starts a cell, and returns its name for `collect`."""
        return self.client.execute(code, **options)

    def collect(self, request: str, timeout: float = PATIENCE, hear: Callable[[Message], Any] = id) -> Cell:
        """Waits for a cell's reply and for all that it published: from busy to idle. `hear` is told each as it comes."""
        deadline = time.monotonic() + timeout
        messages = []
        for message in self.published(deadline - time.monotonic()):
            if message["parent_header"].get("msg_id") != request:
                continue
            messages.append(message)
            hear(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        states = [m["content"]["execution_state"] for m in messages if m["msg_type"] == "status"]
        assert states == ["busy", "idle"], f"status went {states}"
        return Cell(self.reply(self.client.get_shell_msg, request, deadline), messages)

    def published(self, seconds: float) -> Iterator[Message]:
        """What the kernel publishes, for at most so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                yield valid(self.client.get_iopub_msg(timeout=min(left, 1)))
            except queue.Empty:
                pass
        raise AssertionError(f"waited {seconds:.0f} s in vain for the kernel to publish what was expected")

    def wait_published(self, kind: str, holds: Any = lambda content: True, seconds: float = PATIENCE) -> Message:
        """Waits for a message of one type whose content fulfils `holds`."""
        for message in self.published(seconds):
            if message["msg_type"] == kind and holds(message["content"]):
                return message
        raise AssertionError("unreachable")

    def reply(self, channel: Any, request: str, deadline: float) -> Message:
        """The reply to one request; replies to others are passed over."""
        while True:
            message = valid(channel(timeout=max(deadline - time.monotonic(), 0.1)))
            if message["parent_header"].get("msg_id") == request:
                return message

    def ask(self, method: str, *args: Any, **more: Any) -> Message:
        """The content of the reply to any other request of the shell channel, such as `complete`."""
        request = getattr(self.client, method)(*args, **more)
        return self.reply(self.client.get_shell_msg, request, time.monotonic() + PATIENCE)["content"]

    def interrupt(self) -> Message:
        """Interrupts by message, as the kernelspec asks for, and returns the reply's content."""
        message = self.client.session.msg("interrupt_request", {})
        self.client.control_channel.send(message)
        name = message["header"]["msg_id"]
        return self.reply(self.client.get_control_msg, name, time.monotonic() + PATIENCE)["content"]

    # -- ending

    @property
    def pid(self) -> int:
        """The kernel's process."""
        return self.manager.provisioner.pid

    def kill(self) -> None:
        """Ends the kernel as a crash of the Jupyter server's machine would: it and its process group."""
        group = os.getpgid(self.pid)
        self.client.stop_channels()
        os.killpg(group, signal.SIGKILL)
        self.manager.provisioner.process.wait()

    def close(self) -> None:
        """Shuts the kernel down as Jupyter does."""
        self.client.stop_channels()
        if self.manager.is_alive():
            self.manager.shutdown_kernel()
        self.manager.cleanup_resources()


@contextmanager
def kernel(lab: Lab, **more: Any) -> Iterator[Kernel]:
    """A kernel in the lab's folder, shut down at the end."""
    started = Kernel(lab, **more)
    try:
        yield started
    finally:
        started.close()
