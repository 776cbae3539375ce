"""What an honest run may do in its sandbox, and how one that may not is told which setting grants it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from labs import Lab
from test_hostile import candidate

HONEST = """\
import asyncio, ctypes, multiprocessing, os, shutil, socket, subprocess, sys, tempfile, threading
from multiprocessing.connection import Client, Listener


def work(x):
    return x * x


if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool:
        assert pool.map(work, range(4)) == [0, 1, 4, 9]
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        assert pool.map(work, [3]) == [9]
    with multiprocessing.Manager() as manager:
        manager.dict()["a"] = 1
    with Listener(family="AF_UNIX") as listener:
        thread = threading.Thread(target=lambda: Client(listener.address).send("hello"))
        thread.start()
        assert listener.accept().recv() == "hello"
        thread.join()
    asyncio.run(asyncio.sleep(0.01))
    a, b = socket.socketpair()
    a.sendall(b"x")
    assert b.recv(1) == b"x"
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
    assert os.environ["TMPDIR"] == tempfile.gettempdir()
    open("out", "w").write("x")
    os.chmod("out", 0o755)
    os.chmod(os.open("out", os.O_RDONLY), 0o700)
    os.utime("out", (1, 2))
    assert os.stat("out").st_mtime == 2 and os.stat("out").st_mode & 0o777 == 0o700
    os.makedirs("a/b")
    shutil.copy2("out", "a/b/out")
    shutil.move("a/b/out", "moved")
    os.link("moved", "a/linked")
    try:
        os.setxattr("out", "user.x", b"y")
        assert os.getxattr("out", "user.x") == b"y"
    except OSError as why:
        assert why.errno == 95, why
    subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True)
    subprocess.run([sys.executable, "-S", "-c", "print(1)"], check=True)
    open("/dev/null", "w").write("x")
    assert open("data/corpus.txt").read() == "words\\n"
    assert len(os.urandom(4)) == 4
    socket.if_nameindex()
    print("val_bpb: 1.5")
"""


def test_an_honest_run_has_what_it_needs(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(run="python3 train.py", inputs=["data/"], writes=None)
    lab.write("train.py", "LR = 1\n" + HONEST)
    (lab.root / "data").mkdir()
    (lab.root / "data/corpus.txt").write_text("words\n")
    lab.write(".gitignore", "__pycache__/\ndata\n")
    lab.commit()
    lab.night("--experiments", "1")
    [only] = lab.is_sound(1)
    assert only["status"] == "keep", lab.overnight("log", "0").out


def test_a_denial_names_the_setting_that_grants_it(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(writes=None, run="python3 -S train.py")
    elsewhere = lab.place.path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "corpus.txt").write_text("words\n")
    lab.write("train.py", f"LR = 1\nprint(open('{elsewhere}/corpus.txt').read())\n"
                          f"open('{elsewhere}/out.txt', 'w').write('x')\nprint('val_bpb: 1.0')\n")
    lab.commit()
    done = lab.night("--experiments", "1", code=4)
    assert f"add `reads: [{elsewhere}/corpus.txt]` to program.md" in done.text, done
    lab.program(run="python3 -S train.py", writes=None, reads=[f"{elsewhere}/corpus.txt"])
    done = lab.night("--experiments", "1", code=4)
    assert f"denied writing to {elsewhere}/out.txt: add `writes: [{elsewhere}]`" in done.text, done
    lab.program(run="python3 -S train.py", writes=[str(elsewhere)])
    lab.night("--experiments", "1")
    assert lab.is_sound()[-1]["status"] == "keep"


def test_network_is_granted_by_the_program(make_lab: Callable[..., Lab]) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
    lab = make_lab(writes=None, run="python3 -S train.py")
    lab.write("train.py", f"LR = 1\nimport os, socket\nsocket.create_connection(('127.0.0.1', {server.getsockname()[1]}))\n"
                          "print('HF_HUB_OFFLINE' in os.environ)\nprint('val_bpb: 1.0')\n")
    lab.commit()
    done = lab.night("--experiments", "1", code=4)
    assert "no network" in done.text and "`network: true`" in done.text, done
    lab.program(run="python3 -S train.py", writes=None, network=True)
    done = lab.night("--experiments", "1")
    assert "may use the network" in done.text
    assert lab.is_sound()[-1]["status"] == "keep"
    assert "False" in lab.overnight("log", "1").out
    server.close()


def test_variables_are_passed_through_by_name(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(writes=None, run="python3 -S train.py", env=["MY_API_KEY"])
    lab.place.env |= {"MY_API_KEY": "wanted", "OTHER": "unwanted"}
    lab.write("train.py", "LR = 1\nimport os\nprint(os.environ['MY_API_KEY'], 'OTHER' in os.environ)\nprint('val_bpb: 1.0')\n")
    lab.commit()
    lab.night("--experiments", "1")
    assert "wanted False" in lab.overnight("log", "0").out


def test_what_is_enforced_is_said(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab()
    lab.hold()
    said = lab.overnight("loop", "start", "--experiments", "1").text
    assert "Sandbox (" in said and "have no network" in said, said
    lab.go()
    lab.overnight("loop", "wait")
    [check] = [c for c in lab.json("doctor", code=None)["checks"] if c["what"] == "sandbox"]
    assert "no network" in check["found"], check
    lab.program(sandbox="off", writes=None)
    [check] = [c for c in lab.json("doctor", code=None)["checks"] if c["what"] == "sandbox"]
    assert check["state"] == "missing" and "off" in check["found"]
    assert "Sandbox: off" in lab.night("--experiments", "1").text


@pytest.mark.parametrize("path", [".git/hooks", "PLACE"])
def test_no_program_can_grant_the_history(make_lab: Callable[..., Lab], path: str) -> None:
    lab = make_lab()
    lab.program(writes=[path.replace("PLACE", str(lab.place.path))])
    done = lab.overnight("loop", "start", "--experiments", "1", code=3)
    assert "writes" in done.err, done


def test_temporary_files_are_gone_after_a_run(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(writes=None, run="python3 -S train.py")
    body = "import os\nos.makedirs(os.environ['TMPDIR'] + '/a/b')\nos.chmod(os.environ['TMPDIR'] + '/a', 0)\n" \
           "print('TMPDIR', os.environ['TMPDIR'])\nprint('val_bpb: 1.0')"
    lab.write("train.py", candidate(body))
    lab.commit()
    lab.night("--experiments", "1")
    lab.is_sound(1)
    [line] = [line for line in lab.overnight("log", "0").out.splitlines() if line.startswith("TMPDIR ")]
    assert not Path(line.removeprefix("TMPDIR ")).exists()
