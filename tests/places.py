"""Where a test happens: a short folder under /tmp with a home, a cache and a runtime folder of its own.

Everything that Overnight keeps outside a repository is placed by environment variables, so tests neither
see each other nor the person who runs them, and run in parallel. Whatever process a test leaves behind
is found by this folder's path, ended, and reported as a failure.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
# What takes minutes to build, once for all tests: the bundled lab, what Rust cells have in scope.
SHARED = ROOT / "target/acceptance"
BINARY = Path(os.environ.get("OVERNIGHT_BINARY", ROOT / "target/release/overnight"))

# Ends of waiting are generous: on a loaded machine a test is slow, not wrong.
PATIENCE = 90.0

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, seconds: float = PATIENCE, pause: float = 0.02) -> T:
    """Waits until `condition` gives something true, and returns that."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(pause)
    return value


@dataclass
class Done:
    """A finished command."""

    args: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Everything that it said."""
        return self.out + self.err

    def __str__(self) -> str:
        return f"$ {' '.join(self.args)}\n(exit {self.code})\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Place:
    """One test's corner of the machine."""

    def __init__(self) -> None:
        # A socket's path may have 107 bytes, so the folder's name is short.
        self.path = Path(tempfile.mkdtemp(prefix="on-", dir="/tmp"))
        for name in ("home", "cache/overnight", "run", "bin"):
            (self.path / name).mkdir(mode=0o700, parents=True)
        (self.path / "cache/overnight/prelude").symlink_to(SHARED / "cache/overnight/prelude")
        (self.path / "home/.gitconfig").write_text(
            "[user]\n\tname = Ada Lovelace\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n"
        )
        self.env = self._environment()

    def _environment(self) -> dict[str, str]:
        real_home = Path.home()
        hidden = ("JUPYTER", "XDG_", "OVERNIGHT", "GIT_", "CARGO_TARGET")
        env = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        env |= {
            "HOME": str(self.path / "home"),
            "XDG_CACHE_HOME": str(self.path / "cache"),
            "XDG_RUNTIME_DIR": str(self.path / "run"),
            "XDG_DATA_HOME": str(self.path / "home/share"),
            "XDG_CONFIG_HOME": str(self.path / "home/config"),
            "JUPYTER_RUNTIME_DIR": str(self.path / "run/jupyter"),
            "PATH": os.pathsep.join([str(self.path / "bin"), str(Path(sys.executable).parent), env["PATH"]]),
            "CARGO_HOME": env.get("CARGO_HOME", str(real_home / ".cargo")),
            "RUSTUP_HOME": env.get("RUSTUP_HOME", str(real_home / ".rustup")),
            "PIP_CACHE_DIR": env.get("PIP_CACHE_DIR", str(real_home / ".cache/pip")),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_COLOR": "1",
        }
        return env

    def command(self, args: list[str], cwd: Path, code: int | None = 0, timeout: float = 300,
                stdin: str | None = None, env: dict[str, str] | None = None) -> Done:
        """Runs a command to its end; `code` is the exit status that it must have (None: any)."""
        ended = subprocess.run(args, cwd=cwd, env=self.env | (env or {}), input=stdin, capture_output=True,
                               text=True, timeout=timeout, errors="replace", check=False,
                               stdin=None if stdin is not None else subprocess.DEVNULL)
        done = Done(tuple(args), ended.returncode, ended.stdout, ended.stderr)
        assert code is None or done.code == code, f"expected exit {code}:\n{done}"
        return done

    def processes(self) -> dict[int, str]:
        """Every living process that has this place in its environment, its arguments or as its folder."""
        mark = str(self.path).encode()
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            try:
                arguments = (folder / "cmdline").read_bytes()
                seen = [arguments, (folder / "environ").read_bytes()]
                seen.append(os.readlink(folder / "cwd").encode())
                dead = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
            except (OSError, IndexError):
                continue
            if not dead and any(mark in text for text in seen):
                found[int(folder.name)] = arguments.replace(b"\0", b" ").decode(errors="replace").strip()
        return found

    def quiet(self, seconds: float = 20) -> dict[int, str]:
        """What still runs after `seconds`, or as soon as nothing does: an empty dictionary."""
        deadline = time.monotonic() + seconds
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    def kill_all(self) -> None:
        """Ends every process of this place."""
        for _ in range(100):
            left = self.processes()
            if not left:
                return
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)
        raise AssertionError(f"could not end {left}")

    def remove(self) -> None:
        """Deletes the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
