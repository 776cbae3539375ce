"""Candidates that mean harm. Each is prevented, ended, or recorded as `invalid`; nothing is lost and nothing is left.

What merely tries something prints `DONE` where it could, and then a poor value: one night has them all. What changes the
evaluator prints a value that would be kept, and what takes too much of the machine or does not end has nights of its own.
"""

from __future__ import annotations

import hashlib
import os
import socket
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labs import TRAIN, Lab, Seen, alive
from places import Place
from test_bad_things import GOOD

KEY = "sk-canary-0123456789abcdef"
POOR = 5.0


def candidate(body: str) -> str:
    """A `train.py` whose main part is `body`."""
    return TRAIN.replace(GOOD, textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n")


# What each tries; the names in capitals are put in by the test.
ATTEMPTS: dict[str, str] = {
    "reads a private key": "print(open(HOME + '/.ssh/id_ed25519').read())",
    "reads a private key through a link of its own": "os.symlink(HOME + '/.ssh', 'notes'); print(open('notes/id_ed25519').read())",
    "lists the home's hidden folders": "print(os.listdir(HOME + '/.ssh'))",
    "reads the tokens of tools": "print(open(HOME + '/.cache/huggingface/token').read())",
    "reads the checkout's .env": "print(open(ROOT + '/.env').read())",
    "reads the runner's environment": "print(open(f'/proc/{RUNNER}/environ').read())",
    "reads the runner's memory": "print(open(f'/proc/{RUNNER}/mem', 'rb').read(1))",
    "reads the journal": "print(open(ROOT + '/.git/overnight/events.jsonl').read())",
    "writes the journal": "open(ROOT + '/.git/overnight/events.jsonl', 'a').write('{}')",
    "writes a ref": "open(ROOT + '/.git/refs/heads/autoresearch/main', 'w').write('0' * 40)",
    "moves a ref by git": "subprocess.run(['git', '-C', ROOT, 'update-ref', 'refs/overnight/best/main', 'HEAD~0'], check=True)",
    "commits by git": "subprocess.run(['git', 'commit', '-q', '--allow-empty', '-m', 'x'], check=True)",
    "leaves a hook": "open(ROOT + '/.git/hooks/post-checkout', 'w').write('#!/bin/sh')",
    "writes results.tsv into the checkout": "open(ROOT + '/results.tsv', 'w').write('best')",
    "writes the program": "open(ROOT + '/program.md', 'a').write('x')",
    "removes the checkout's file": "os.remove(ROOT + '/train.py')",
    "empties the checkout's file": "os.truncate(ROOT + '/train.py', 0)",
    "moves the checkout's file": "os.rename(ROOT + '/train.py', 'mine.py')",
    "links the checkout's file and writes": "os.link(ROOT + '/train.py', 'mine.py'); open('mine.py', 'w').write('x')",
    "writes through a link to the checkout": "os.symlink(ROOT, 'out'); open('out/train.py', 'w').write('x')",
    "writes an input through its link": "open('data/corpus.txt', 'a').write('x')",
    "changes the mode of the checkout's file": "os.chmod(ROOT + '/train.py', 0)",
    "changes the mode through a descriptor": "os.fchmod(os.open(ROOT + '/train.py', os.O_RDONLY), 0)",
    "changes the times of the checkout's file": "os.utime(ROOT + '/train.py', (1, 1))",
    "changes the owner of the checkout's file": "os.chown(ROOT + '/train.py', os.getuid(), os.getgid())",
    "sets an attribute on the checkout's file": "os.setxattr(ROOT + '/train.py', 'user.x', b'y')",
    "reads another slot": "print(open(CACHE + '/slots/7/tree/secret').read())",
    "writes another slot": "open(CACHE + '/slots/7/tree/harness.py', 'w').write('x')",
    "forges another run's end": "open(CACHE + '/runs/' + os.environ['OVERNIGHT_RUN'] + '/end.json', 'w').write('{}')",
    "leaves a file in the home": "open(HOME + '/.bashrc', 'a').write('x')",
    "leaves a file in /tmp": "open('/tmp/overnight-was-here', 'w').write('x')",
    "puts a program on the path": "open(PLACE + '/bin/python3', 'w').write('x')",
    "calls out by TCP": "socket.create_connection(('127.0.0.1', TCP), 5)",
    "calls out by UDP": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', TCP))",
    "calls out by IPv6": "socket.socket(socket.AF_INET6, socket.SOCK_STREAM).connect(('::1', TCP))",
    "asks a name server": "socket.getaddrinfo('example.org', 80)",
    "sends raw packets": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "listens": "socket.socket().bind(('127.0.0.1', 0))",
    "talks to an abstract socket": "socket.socket(socket.AF_UNIX).connect(chr(0) + ABSTRACT)",
    "talks to another program's socket": "socket.socket(socket.AF_UNIX).connect(PLACE + '/run/service')",
    "commands the runner": (
        "s = socket.socket(socket.AF_UNIX)\n"
        "s.settimeout(5)\n"
        "s.connect(SOCKET)\n"
        "s.sendall(b'{\"request\":\"stop\",\"now\":true}\\n')\n"
        "if not s.recv(100): raise OSError('not heard')"
    ),
    "goes round by io_uring": "call(425, 8, ctypes.create_string_buffer(120))",
    "goes round by the x32 calls": "call(0x40000000 + 41, socket.AF_INET, socket.SOCK_STREAM, 0)",
    "traces the runner": "call(101, 16, RUNNER, 0, 0)",
    "signals the runner": "os.kill(RUNNER, signal.SIGSTOP)",
    "signals the shim": "os.kill(SHIM(), signal.SIGKILL)",
    "takes the runner's limits": "import resource; resource.prlimit(RUNNER, resource.RLIMIT_CPU, (0, 0))",
    "raises its own limits": "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))",
    "makes namespaces": "call(272, 0x10000000)",
    "mounts": "call(165, b'tmpfs', b'/mnt', b'tmpfs', 0, 0)",
    "changes its root": "os.chroot('.')",
    "sets the clock": "time.clock_settime(time.CLOCK_REALTIME, 1)",
    "reads the kernel's keys": "call(250, 0, -3, 1)",
    "loads a program into the kernel": "call(321, 0, ctypes.create_string_buffer(128), 128)",
    "reads the disk itself": "print(open(DISK, 'rb').read(1))",
    "writes the kernel's settings": "open('/proc/sys/kernel/core_pattern', 'w').write('x')",
    "reads /etc/shadow": "print(open('/etc/shadow').read())",
}

@pytest.fixture
def hostile(make_lab: Callable[..., Lab]) -> Lab:
    """A lab with things worth stealing around it."""
    lab = make_lab(inputs=["data/"], timeout="60s")
    home = lab.place.path / "home"
    for path, text in {".ssh/id_ed25519": KEY, ".cache/huggingface/token": KEY, ".bashrc": "#"}.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)
    (lab.root / ".env").write_text(f"API_KEY={KEY}\n")
    (lab.root / "data").mkdir()
    (lab.root / "data/corpus.txt").write_text("words\n")
    lab.write(".gitignore", "__pycache__/\n.env\ndata\n")
    lab.commit()
    lab.place.env["ANTHROPIC_API_KEY"] = KEY
    return lab


@pytest.fixture
def listeners(place: Place) -> Iterator[dict[str, object]]:
    """Services of this machine that hear whoever comes: by TCP, an abstract name and a path."""
    heard: list[bytes] = []
    name = f"overnight-{os.getpid()}-{id(heard)}"
    tcp = socket.create_server(("127.0.0.1", 0))
    abstract, service = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    abstract.bind("\0" + name)
    service.bind(str(place.path / "run/service"))
    for each in (abstract, service):
        each.listen()

    def hear(server: socket.socket) -> None:
        while True:
            try:
                server.accept()[0].close()
            except OSError:
                return
            heard.append(b"!")

    for each in (tcp, abstract, service):
        threading.Thread(target=hear, args=(each,), daemon=True).start()
    yield {"TCP": tcp.getsockname()[1], "ABSTRACT": name, "heard": heard}
    for each in (tcp, abstract, service):
        each.close()


def proposer(lab: Lab, sources: list[str], names: dict[str, object]) -> str:
    """Hands in these candidates in turn. What a candidate must know of its surroundings is written in at the last moment."""
    folder = lab.place.path / "candidates"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for i, source in enumerate(sources):
        (folder / f"{i:03}").write_text(source)
    return lab.proposer(
        f"""
        import json, os, sys
        json.load(sys.stdin)
        folder, names = {str(folder)!r}, {names!r}
        left = sorted(os.listdir(folder))
        if left:
            source = open(os.path.join(folder, left[0])).read()
            os.remove(os.path.join(folder, left[0]))
            # This process descends from the runner.
            pid = os.getppid()
            while b"runner" not in open(f"/proc/{{pid}}/cmdline", "rb").read().split(b"\\0"):
                pid = int(open(f"/proc/{{pid}}/stat").read().rsplit(")", 1)[1].split()[1])
            names["RUNNER"] = pid
            lines = "".join(f"{{name}} = {{value!r}}\\n" for name, value in names.items())
            open("train.py", "w").write(lines + source)
            print(json.dumps({{"hypothesis": "candidate " + left[0]}}))
        """
    )


def cache_of(lab: Lab) -> Path:
    """The lab's folder of slots and runs."""
    [slots] = lab.place.path.glob("cache/overnight/*/slots")
    return slots.parent


def names_of(lab: Lab) -> dict[str, object]:
    """Where things are."""
    return {"ROOT": str(lab.root), "HOME": str(lab.place.path / "home"), "PLACE": str(lab.place.path)}


def test_what_is_tried_is_prevented(hostile: Lab, listeners: dict[str, object]) -> None:
    lab = hostile
    lab.night("--experiments", "1")
    secret = cache_of(lab) / "slots/7/tree/secret"
    secret.parent.mkdir(parents=True)
    secret.write_text(KEY)
    disk = next((str(p) for p in Path("/dev").iterdir() if p.is_block_device()), "/dev/none")
    names = names_of(lab) | {"CACHE": str(cache_of(lab)), "DISK": disk, "TCP": listeners["TCP"],
                             "ABSTRACT": listeners["ABSTRACT"], "SOCKET": socket_path(lab)}
    before = Seen(lab)
    modes = {p: p.lstat().st_mode for p in sorted(lab.root.rglob("*"))}
    lab.night("--experiments", str(len(ATTEMPTS)), "--agent",
              proposer(lab, [attempt_of(body) for body in ATTEMPTS.values()], names), timeout=280)

    found = lab.is_sound(len(ATTEMPTS) + 1)
    logs = {name: lab.overnight("log", str(i + 1)).out for i, name in enumerate(ATTEMPTS)}
    wrong = []
    for name, each in zip(ATTEMPTS, found[1:], strict=True):
        log = logs[name]
        prevented = "begun" in log and "DONE" not in log and "prevented" in log and KEY not in log
        # What it was after must have been there, or nothing was shown.
        if not prevented or "No such file" in log or (each["status"], each["value"]) != ("discard", POOR):
            wrong.append(f"{name}: {each['reason']}\n{log}")
    assert not wrong, "\n".join(wrong)
    assert listeners["heard"] == []
    lab.worktree_is(before)
    assert {p: p.lstat().st_mode for p in modes if p.exists()} == {p: mode for p, mode in modes.items() if p.exists()}
    assert secret.read_text() == KEY
    assert lab.place.quiet() == {}


def attempt_of(body: str) -> str:
    """A candidate that tries `body`, and says whether it could."""
    tried = textwrap.indent(body, "    ")
    return candidate(
        "import ctypes, os, signal, socket, subprocess, sys, time\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def call(*args):\n"
        "    if libc.syscall(*args) == -1:\n"
        "        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))\n"
        "def SHIM():\n"
        "    pid = os.getppid()\n"
        "    while 'shim' not in open(f'/proc/{pid}/cmdline').read():\n"
        "        pid = int(open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[1])\n"
        "    return pid\n"
        "print('begun', flush=True)\n"
        f"try:\n{tried}\n"
        "except (OSError, ValueError, subprocess.CalledProcessError) as why:\n"
        "    print('prevented:', why)\n"
        "else:\n"
        "    print('DONE')\n"
        f"print('val_bpb: {POOR}')\n"
    )


def socket_path(lab: Lab) -> str:
    """Where the runner listens while it runs."""
    name = hashlib.sha256(str(lab.state).encode()).hexdigest()[:16]
    return str(lab.place.path / f"run/overnight/{name}.sock")


EVALUATOR = {
    "writes": "open('harness.py', 'a').write('# mine')",
    "replaces": "open('x', 'w').write('x = 1'); os.rename('x', 'harness.py')",
    "removes": "os.remove('harness.py')",
    "writes and puts back": "was = open('harness.py').read(); open('harness.py', 'w').write('x'); open('harness.py', 'w').write(was)",
    "writes and sets the times back": (
        "was, t = open('harness.py').read(), os.stat('harness.py'); open('harness.py', 'w').write('x'); "
        "open('harness.py', 'w').write(was); os.utime('harness.py', ns=(t.st_atime_ns, t.st_mtime_ns))"
    ),
    "writes through a hard link": "os.link('harness.py', 'x'); open('x', 'a').write('# mine')",
    "writes through a symbolic link": "os.symlink('harness.py', 'x'); open('x', 'a').write('# mine')",
    "puts a link in its place": "os.rename('harness.py', 'x'); os.symlink('x', 'harness.py')",
    "puts a pipe in its place": "os.remove('harness.py'); os.mkfifo('harness.py')",
    "writes the program": "open('program.md', 'a').write('x')",
    "forges an input": "os.remove('data'); os.mkdir('data'); open('data/corpus.txt', 'w').write('mine')",
}
# What else than the evaluator is named in the reason.
NAMED = {"writes the program": "program.md", "forges an input": "data"}


def test_whoever_changes_the_evaluator_is_invalid(hostile: Lab) -> None:
    lab = hostile
    before = Seen(lab)
    bodies = [f"import os\n{body}\nprint('val_bpb: 0.1')" for body in EVALUATOR.values()]
    honest = "import os\nassert open('data/corpus.txt').read() == 'words\\n'\nopen('own.txt', 'w').write('x')\nos.chmod('harness.py', 0o755)\nprint('val_bpb: 0.9')"
    sources = [candidate(body) for body in [*bodies, honest]]
    lab.night("--experiments", str(len(sources) + 1), "--agent", proposer(lab, sources, names_of(lab)))
    found = lab.is_sound(len(sources) + 1)
    for name, each in zip(EVALUATOR, found[1:-1], strict=True):
        assert each["status"] == "invalid", f"{name}: {each}"
        assert NAMED.get(name, "harness.py") in each["reason"], each["reason"]
    assert found[-1]["status"] == "keep", found[-1]["reason"]
    lab.worktree_is(before)


def test_a_baseline_that_changes_a_tracked_file_is_told_what_to_do(lab: Lab) -> None:
    lab.write("scores.txt", "")
    lab.write("train.py", TRAIN + "    open('scores.txt', 'a').write('1')\n")
    lab.commit()
    done = lab.night("--experiments", "2", code=4)
    assert "scores.txt" in done.text and "git rm --cached" in done.text, done


TAKES = {
    "processes": ("import os, time\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        time.sleep(0.01)", "processes"),
    "processes, deaf and in sessions of their own": (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "while True:\n"
        "    try:\n"
        "        if os.fork() == 0:\n"
        "            os.setsid()\n"
        "    except OSError:\n"
        "        time.sleep(0.01)",
        "processes",
    ),
    "memory": ("import time\nheld = []\nwhile True:\n    held.append(bytearray(8 << 20))\n    time.sleep(0.005)", "memory"),
    "disk": (
        "import os, time\n"
        "for i in range(10**6):\n"
        "    open(f'{i}', 'wb').write(os.urandom(1 << 20))\n"
        "    time.sleep(0.005)",
        "disk",
    ),
    "disk, in one file": ("f = open('x', 'wb')\nwhile True:\n    f.write(b'x' * (1 << 20)); f.flush()", "disk"),
    "disk, for temporary files": (
        "import os, tempfile, time\n"
        "folder = tempfile.mkdtemp()\n"
        "for i in range(10**6):\n"
        "    open(f'{folder}/{i}', 'wb').write(os.urandom(1 << 20))\n"
        "    time.sleep(0.005)",
        "disk",
    ),
}


def test_whoever_takes_too_much_is_ended(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(limits={"processes": 60, "memory": "300MB", "disk": "80MB"}, timeout="90s", crashes=99)
    before = Seen(lab)
    sources = [candidate(body) for body, _ in TAKES.values()]
    lab.night("--experiments", str(len(sources) + 1), "--agent", proposer(lab, sources, names_of(lab)), timeout=280)
    found = lab.is_sound(len(sources) + 1)
    for (name, (_, said)), each in zip(TAKES.items(), found[1:], strict=True):
        assert each["status"] == "crash", f"{name}: {each}"
        # No single file may be larger than the limit either, and the system may say so first.
        limited = f"`limits: {{{said}: …}}` in program.md raises it" in each["reason"]
        assert limited or "File too large" in each["reason"], f"{name}: {each['reason']}"
    lab.worktree_is(before)
    assert lab.place.quiet() == {}
    runs = [event["run"].replace("-", "") for event in lab.events() if event["event"] == "run_started"]
    assert len(runs) == len(found)
    assert not any(Path(f"/tmp/overnight-{run[20:]}").exists() for run in runs), "temporary files are removed"


OUTLIVES = {
    "is deaf": "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('val_bpb: 0.1', flush=True)\ntime.sleep(3600)",
    "forks twice without an environment": (
        "import os, sys\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        os.execve('/bin/sleep', ['/bin/sleep', '3601.5'], {})\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "print('val_bpb: 5.0')"
    ),
    "prints another value afterwards": (
        "import os, signal, time\n"
        "print('val_bpb: 5.0', flush=True)\n"
        "main = os.getpid()\n"
        "if os.fork() == 0:\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    while os.path.exists(f'/proc/{main}') and os.getppid() == main:\n"
        "        time.sleep(0.01)\n"
        "    time.sleep(0.5)\n"
        "    print('val_bpb: 0.1', flush=True)\n"
        "    os._exit(0)"
    ),
}


def test_nothing_outlives_its_run(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(timeout="2s", budget="1s")
    sources = [candidate(body) for body in OUTLIVES.values()]
    lab.night("--experiments", str(len(sources) + 1), "--agent", proposer(lab, sources, names_of(lab)))
    deaf, forked, later = lab.is_sound(len(sources) + 1)[1:]
    assert deaf["status"] == "timeout"
    assert forked["status"] == "discard" and forked["value"] == POOR
    assert later["status"] == "discard" and later["value"] == POOR, later
    sleeping = [p for p in Path("/proc").iterdir() if p.name.isdigit() and alive(int(p.name))
                and b"3601.5" in reading(p / "cmdline")]
    assert sleeping == []
    assert lab.place.quiet() == {}


def reading(path: Path) -> bytes:
    """A file's bytes, or none where it is gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
