"""The live view: in a notebook without being asked for, in a terminal of any size, in a log, and nothing for nothing."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kernels import kernel
from labs import Lab
from places import BINARY, PATIENCE, until


def test_start_returns_and_goes_on_showing(lab: Lab) -> None:
    lab.hold()
    with kernel(lab) as it:
        started = it.execute("%loop start --experiments 4 --seed 1")
        assert started.status == "ok" and "has started" in started.text
        views = [view for view in started.of("display_data") if "display_id" in view.get("transient", {})]
        assert len(views) == 1, "one display, which is updated in place"
        display = views[0]["transient"]["display_id"]
        html = views[0]["data"]["text/html"]
        assert "As of " in html and "%loop watch" in html, "what is saved says of when it is"
        lab.has_started(0)
        lab.go(0)
        shown = it.wait_published(
            "update_display_data",
            lambda content: content["transient"]["display_id"] == display
            and "baseline" in content["data"]["text/plain"] and "Running" in content["data"]["text/plain"],
        )
        assert "Running" in shown["content"]["data"]["text/html"]
        lab.go()
        it.wait_published(
            "update_display_data",
            lambda content: content["transient"]["display_id"] == display and "Ended" in content["data"]["text/plain"],
        )
    lab.is_sound(4)


def test_views_share_one_watch_and_are_silent_when_nothing_happens(lab: Lab) -> None:
    lab.hold()
    with kernel(lab) as it:
        first = it.execute("%loop start --experiments 3 --seed 1").of("display_data")[-1]["transient"]["display_id"]
        lab.has_started(0)
        second = it.execute("%loop watch").of("display_data")[-1]["transient"]["display_id"]
        assert first != second
        seen: set[str] = set()
        for message in it.published(PATIENCE):
            if message["msg_type"] == "update_display_data":
                seen.add(message["content"]["transient"]["display_id"])
            if seen == {first, second}:
                break
        lab.overnight("loop", "pause")
        lab.go(0)
        # A paused loop whose run has ended changes no more: its display says so, and then says nothing.
        it.wait_published(
            "update_display_data",
            lambda content: content["transient"]["display_id"] == second
            and "Paused" in content["data"]["text/plain"] and " idle" in content["data"]["text/plain"],
        )
        it.execute("%experiments")
        begun = time.monotonic()
        updates = []
        while time.monotonic() < begun + 5:
            try:
                updates.append(it.client.get_iopub_msg(timeout=0.5)["msg_type"])
            except Exception:  # noqa: BLE001  the queue is empty, as it should be
                pass
        assert updates.count("update_display_data") <= 4, "at most one late picture for each display, and its clock"
        lab.go()
        lab.overnight("loop", "resume")
        waited = it.execute("%loop wait")
        assert waited.status == "ok", waited.text
    lab.is_sound(3)


def test_trouble_does_not_end_the_watch(lab: Lab) -> None:
    lab.hold()
    with kernel(lab) as it:
        it.execute("%loop start --experiments 3 --seed 1")
        lab.has_started(0)
        lab.go(0)
        lab.has_started(1)
        it.wait_published("update_display_data", lambda content: "K keep" in content["data"]["text/plain"])
        ref = lab.root / ".git/refs/overnight/ledger/main"
        good = ref.read_text()
        ref.write_text("no commit\n")
        said = it.wait_published("update_display_data",
                                 lambda content: "not up to date" in content["data"]["text/plain"])
        assert "Not up to date" in said["content"]["data"]["text/html"]
        assert "val_bpb" in said["content"]["data"]["text/plain"], "what was known is still shown"
        ref.write_text(good)
        it.wait_published("update_display_data",
                          lambda content: "not up to date" not in content["data"]["text/plain"])
        lab.go()
        it.wait_published("update_display_data", lambda content: "Ended" in content["data"]["text/plain"])
    lab.is_sound(3)


def test_yesterdays_view_says_so(lab: Lab) -> None:
    lab.night("--experiments", "2", "--seed", "1")
    status = lab.status()
    ended = status["ended_at"]
    assert ended == lab.happened("loop_ended")[-1]["at"]
    journal = lab.state / "events.jsonl"
    until(lambda: lab.runner_or_none() is None, "the runner is gone")
    # As if it had been written nine hours ago.
    lines = journal.read_text().splitlines()
    earlier = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 9 * 3600))
    lines[-1] = lines[-1].replace(ended, earlier)
    assert earlier in lines[-1]
    journal.write_text("\n".join(lines) + "\n")
    first = lab.overnight("loop", "status").out.splitlines()[0]
    assert re.match(r"■ Ended (yesterday )?\d\d:\d\d, 9 h ago · ", first), first


def test_a_log_has_a_line_for_each_judgement(lab: Lab) -> None:
    done = lab.night("--experiments", "4", "--seed", "1")
    lines = [line for line in done.out.splitlines() if re.match(r"\d\d:\d\d:\d\d  ", line)]
    judged = [line for line in lines if re.match(r"\d\d:\d\d:\d\d  experiment \d+: ", line)]
    assert [int(re.search(r"experiment (\d+)", line)[1]) for line in judged] == [0, 1, 2, 3], done.out
    states = [line.split("  ", 1)[1] for line in lines if line not in judged]
    assert states[0] == "Running" and states[-1].startswith("Ended: it has done its 4") and len(states) <= 3, states
    assert "kept of 3 tried" in done.out, "the whole view, once, at the end"
    lab.is_sound(4)


class Screen:
    """As much of a terminal as the live view needs: lines that wrap, going up, clearing what is below."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.lines: list[list[str]] = [[]]
        self.row = self.column = self.lost = 0

    def feed(self, text: str) -> None:
        """Draws what a program has written."""
        for token in re.findall(r"\x1b\[\d*[A-Z]|\r|\n|.", text):
            if token.startswith("\x1b["):
                count = int(token[2:-1] or 1)
                if token.endswith("A"):
                    top = max(0, len(self.lines) - self.height)
                    self.row = max(top, self.row - count)
                elif token.endswith("J"):
                    self.lines = self.lines[: self.row + 1]
                    self.lines[self.row] = self.lines[self.row][: self.column]
            elif token == "\r":
                self.column = 0
            elif token == "\n":
                self.down()
            else:
                if self.column == self.width:
                    self.down()
                line = self.lines[self.row]
                line[self.column:self.column + 1] = [token]
                self.column += 1

    def down(self) -> None:
        """To the beginning of the next line."""
        self.row, self.column = self.row + 1, 0
        if self.row == len(self.lines):
            self.lines.append([])

    def text(self) -> str:
        """Everything, what has scrolled away too."""
        return "\n".join("".join(line).rstrip() for line in self.lines)


@contextmanager
def terminal(lab: Lab, width: int, height: int, *args: str) -> Iterator[tuple[Screen, subprocess.Popen[bytes], int]]:
    """`overnight …` in a terminal of its own."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    process = subprocess.Popen([str(BINARY), *args], cwd=lab.root, env=lab.place.env, stdin=slave, stdout=slave,
                               stderr=slave, close_fds=True)
    os.close(slave)
    try:
        yield Screen(width, height), process, master
    finally:
        process.kill()
        process.wait()
        os.close(master)


def read(master: int) -> str | None:
    """What was written to the terminal by now; None where nobody can write there any more."""
    if not select.select([master], [], [], 0.1)[0]:
        return ""
    try:
        return os.read(master, 1 << 16).decode(errors="replace")
    except OSError:
        return None


def test_a_low_and_narrow_terminal_is_drawn_in_place(lab: Lab) -> None:
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "5", "--seed", "1")
    lab.has_started(0)
    with terminal(lab, 44, 9, "loop", "watch") as (screen, process, master):
        drawn = 0
        opened = False
        while (text := read(master)) is not None:
            drawn += text.count("\x1b[")
            screen.feed(text)
            assert len(screen.lines) <= 10, f"it has scrolled:\n{screen.text()}"
            assert all(len(line) <= 44 for line in screen.lines)
            if drawn >= 4 and not opened:
                opened = True
                assert "lines more" in screen.text()
                lab.go()
        assert process.wait(60) == 0
    assert drawn >= 4, "it was drawn again and again"
    assert screen.text().count("Ended") == 1 and screen.text().count("Running") == 0, screen.text()
    lab.is_sound(5)


def test_a_terminal_that_gets_narrower_keeps_one_view(lab: Lab) -> None:
    lab.hold()
    lab.overnight("loop", "start", "--experiments", "3", "--seed", "1")
    lab.has_started(0)
    with terminal(lab, 120, 40, "loop", "watch") as (_, process, master):
        wide = ""
        while "\x1b[J" not in wide:
            wide += read(master) or ""
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 50, 0, 0))
        # What was drawn for 120 columns takes more rows on 50 than it has lines.
        ups = [int(up) for up in re.findall(r"\x1b\[(\d+)A", wide)]
        narrow = ""
        while not (more := re.findall(r"\x1b\[(\d+)A", narrow)):
            narrow += read(master) or ""
        assert int(more[0]) >= ups[-1]
        lab.go()
        while (text := read(master)) is not None:
            narrow += text
        assert process.wait(60) == 0
    last = narrow.rsplit("\x1b[J", 1)[-1]
    assert all(len(line.rstrip("\r")) <= 50 for line in last.split("\n")), last
    lab.is_sound(3)
