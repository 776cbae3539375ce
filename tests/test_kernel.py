"""The kernel as Jupyter's clients see it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from kernels import Kernel, book, kernel
from labs import Lab
from places import until


@pytest.fixture
def k(lab: Lab) -> Iterator[Kernel]:
    """A kernel in the usual lab."""
    with kernel(lab) as started:
        yield started


def test_kernel_info(k: Kernel) -> None:
    info = k.ask("kernel_info")
    assert info["status"] == "ok"
    assert info["protocol_version"].startswith("5.")
    assert info["implementation"] == "overnight"
    language = info["language_info"]
    assert language["name"] == "rust"
    assert language["file_extension"] == ".rs"
    assert isinstance(language["codemirror_mode"], str)
    assert info["banner"]


def test_the_kernelspec(lab: Lab) -> None:
    prefix = lab.place.path / "prefix"
    lab.overnight("install", "--prefix", str(prefix), "--env", "ANSWER=42")
    specs = KernelSpecManager(kernel_dirs=[str(prefix / "share/jupyter/kernels")], ensure_native_kernel=False)
    spec = specs.get_kernel_spec("overnight")
    assert spec.display_name == "Overnight (Rust)"
    assert spec.language == "rust"
    assert spec.interrupt_mode == "message"
    assert spec.env["ANSWER"] == "42"
    assert "{connection_file}" in spec.argv
    lab.overnight("install", "--prefix", str(prefix), "--name", "night2", "--display-name", "Second")
    assert specs.get_kernel_spec("night2").display_name == "Second"
    lab.overnight("uninstall", "--prefix", str(prefix), "--name", "night2")
    assert set(specs.find_kernel_specs()) == {"overnight"}


def test_magics(k: Kernel, lab: Lab) -> None:
    empty = k.execute("%experiments")
    assert empty.status == "ok"
    assert "loop start" in empty.text, "an empty table says what to do"

    started = k.execute("%loop start --experiments 3 --seed 2")
    assert started.status == "ok", started.text
    waited = k.execute("%loop wait")
    assert waited.status == "ok", waited.text
    assert waited.of("display_data") and waited.of("update_display_data"), "the view updates in place"

    table = k.execute("%experiments")
    assert {"text/plain", "text/html"} <= table.mimes
    assert "<table" in table.data[-1]["text/html"]

    chart = k.execute("%plot progress")
    assert {"text/plain", "image/png", "application/vnd.vegalite.v5+json"} <= chart.mimes
    assert "vega-lite/v5" in chart.data[-1]["application/vnd.vegalite.v5+json"]["$schema"]

    rows = k.execute("%%sql\nSELECT number, status FROM experiments ORDER BY number")
    assert rows.status == "ok", rows.text
    assert all(word in rows.text for word in ("number", "status", "keep"))
    steps = k.execute("%sql SELECT COUNT(*) AS steps FROM metrics")
    assert "24" in steps.text, "three runs of eight steps"

    own = k.execute('%run --set LR=0.0551 --hypothesis "a warmer start"')
    assert own.status == "ok", own.text
    assert lab.experiments()[3]["hypothesis"] == "a warmer start"

    for magic in ("%experiment best", "%log 0", "%metrics 0", "%diff 1", "%best", "%program", "%loop status"):
        shown = k.execute(magic)
        assert shown.status == "ok", f"{magic}: {shown.text}"
        assert shown.text.strip(), f"{magic} shows nothing"


def test_errors_are_replies(k: Kernel) -> None:
    slip = k.execute("%experimets")
    assert slip.status == "error"
    assert "experiments" in slip.text, "the nearest is named"
    assert k.execute("%nope").status == "error"
    option = k.execute("%loop start --experimens 3")
    assert option.status == "error" and "--experiments" in option.text
    missing = k.execute("%log 77")
    assert missing.status == "error" and "77" in missing.text
    sql = k.execute("%%sql\nSELECT nothing FROM nowhere")
    assert sql.status == "error" and "nowhere" in sql.text
    helped = k.execute("%loop start --help")
    assert helped.status == "ok" and "--hours" in helped.text, "help is not an exit"
    python = k.execute("import numpy as np")
    assert python.status == "error" and "Python" in python.text, "a cell that looks like Python gets a hint"
    assert k.execute("%experiments").status == "ok"


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("%exp", "%experiments"),
        ("%loop st", "start"),
        ("%loop start --ex", "--experiments"),
        ("%plot pr", "progress"),
    ],
)
def test_completion(k: Kernel, code: str, wanted: str) -> None:
    reply = k.ask("complete", code, len(code))
    assert reply["status"] == "ok"
    assert any(match.strip() == wanted or match.strip() == wanted.lstrip("%") for match in reply["matches"]), reply
    assert 0 <= reply["cursor_start"] <= reply["cursor_end"] == len(code)
    completed = {code[: reply["cursor_start"]] + match.strip() for match in reply["matches"]}
    assert any(text.endswith(wanted) for text in completed), completed


def test_positions_count_characters_not_bytes(k: Kernel) -> None:
    code = "// 𝒩 größer\n%loop start --ex"
    reply = k.ask("complete", code, len(code))
    assert reply["cursor_end"] == len(code)


def test_inspection(k: Kernel) -> None:
    for code in ("%loop start", "%experiments", "%loop start?"):
        reply = k.ask("inspect", code, len(code))
        assert reply["status"] == "ok" and reply["found"], code
        assert reply["data"]["text/plain"].strip()
    asked = k.execute("%loop start?")
    assert asked.status == "ok"
    payload = asked.reply["content"].get("payload") or []
    assert "--hours" in asked.text + str(payload)
    assert k.ask("inspect", "nothing_of_that_name", 5)["found"] is False


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("%experiments", "complete"),
        ("%%sql", "incomplete"),
        ("let x = 1;", "complete"),
        ("fn main() {", "incomplete"),
        ("fn main() {}}", "invalid"),
    ],
)
def test_is_complete(k: Kernel, code: str, status: str) -> None:
    assert k.ask("is_complete", code)["status"] == status


def test_history_and_counting(k: Kernel) -> None:
    first = k.execute("%experiments").reply["content"]["execution_count"]
    second = k.execute("%loop status").reply["content"]["execution_count"]
    assert second == first + 1
    k.execute("%program", store_history=False)
    assert k.execute("%program").reply["content"]["execution_count"] == second + 1
    history = k.ask("history", hist_access_type="tail", n=10, raw=True, output=False)["history"]
    assert [entry[2] for entry in history][-3:] == ["%experiments", "%loop status", "%program"]


def test_silent_says_nothing(k: Kernel) -> None:
    before = k.execute("%experiments").reply["content"]["execution_count"]
    cell = k.execute("%experiments", silent=True)
    assert cell.status == "ok"
    assert cell.data == [] and cell.of("execute_input") == [] and cell.of("stream") == []
    assert k.execute("%experiments").reply["content"]["execution_count"] == before + 1


# A cell that fails as soon as it is let go, so that others can be queued behind it.
FAILS_LATER = "%%bash\nuntil [ -e ../go ]; do sleep 0.01; done; exit 1"


def test_stop_on_error_aborts_what_is_queued(k: Kernel, lab: Lab) -> None:
    requests = [k.send(FAILS_LATER), k.send("%experiments"), k.send("%loop status")]
    time.sleep(0.5)  # the kernel has them now
    (lab.root / "../go").touch()
    cells = {}
    deadline = time.monotonic() + 60
    for request in requests:
        cells[request] = k.reply(k.client.get_shell_msg, request, deadline)["content"]["status"]
    assert list(cells.values()) == ["error", "aborted", "aborted"]
    until(lambda: k.execute("%experiments").status == "ok", "the kernel takes cells again")


def test_without_stop_on_error_the_rest_goes_on(k: Kernel, lab: Lab) -> None:
    requests = [k.send(FAILS_LATER, stop_on_error=False), k.send("%experiments")]
    time.sleep(0.5)
    (lab.root / "../go").touch()
    deadline = time.monotonic() + 60
    states = [k.reply(k.client.get_shell_msg, r, deadline)["content"]["status"] for r in requests]
    assert states == ["error", "ok"]


def test_interrupting_a_wait_leaves_the_loop_alone(k: Kernel, lab: Lab) -> None:
    lab.hold()
    assert k.execute("%loop start --experiments 2 --seed 1").status == "ok"
    lab.has_started(0)
    request = k.send("%loop wait")
    k.wait_published("display_data")
    assert k.interrupt()["status"] == "ok"
    reply = k.reply(k.client.get_shell_msg, request, time.monotonic() + 30)
    assert reply["content"]["status"] == "error"
    assert "nterrupt" in reply["content"]["ename"] + reply["content"]["evalue"]
    assert lab.status()["state"] == "running"
    lab.go()
    assert k.execute("%loop wait").status == "ok"
    lab.is_sound(2)


def test_the_kernel_answers_while_a_cell_waits(k: Kernel, lab: Lab) -> None:
    lab.hold()
    k.execute("%loop start --experiments 1")
    lab.has_started(0)
    k.send("%loop wait")
    k.wait_published("display_data")
    message = k.client.session.msg("kernel_info_request", {})
    k.client.control_channel.send(message)
    reply = k.reply(k.client.get_control_msg, message["header"]["msg_id"], time.monotonic() + 10)
    assert reply["content"]["status"] == "ok"
    lab.go()
    lab.overnight("loop", "wait")


def test_a_forged_message_is_dropped(k: Kernel) -> None:
    session = k.client.session
    key, session.key = session.key, b"not the key"
    k.client.execute("%experiments")
    session.key = key
    assert k.ask("kernel_info")["status"] == "ok"
    cell = k.execute("%experiments")
    assert cell.reply["content"]["execution_count"] == 1, "the forged cell was executed"


def test_rust_cells(k: Kernel) -> None:
    """One test, since the first cell has to start a compiler."""
    first = k.execute("let x = 41 + 1; x", timeout=240)
    assert first.status == "ok", first.text
    assert "42" in first.text
    assert "43" in k.execute("x + 1", timeout=120).text, "variables stay"
    printed = k.execute('println!("hello {}", x);', timeout=120)
    assert "hello 42" in "".join(c["text"] for c in printed.of("stream") if c["name"] == "stdout")

    wrong = k.execute("let y: u8 = 300 + undefined;", timeout=120)
    assert wrong.status == "error" and "undefined" in wrong.text
    panics = k.execute('panic!("on purpose")', timeout=120)
    assert panics.status == "error" and "on purpose" in panics.text

    request = k.send('println!("begun"); loop { std::thread::sleep(std::time::Duration::from_millis(10)); }')
    k.wait_published("stream", lambda content: "begun" in content["text"], seconds=120)
    began = time.monotonic()
    assert k.interrupt()["status"] == "ok"
    reply = k.reply(k.client.get_shell_msg, request, time.monotonic() + 60)
    assert reply["content"]["status"] == "error"
    assert time.monotonic() - began < 30
    assert k.execute("%experiments").status == "ok", "the kernel lives"
    assert "7" in k.execute("3 + 4", timeout=240).text, "and so does Rust"


def test_shutdown_is_prompt_and_leaves_nothing(lab: Lab) -> None:
    started = Kernel(lab)
    started.execute("1 + 1", timeout=240)
    began = time.monotonic()
    started.close()
    assert time.monotonic() - began < 5
    assert lab.place.quiet() == {}


def test_a_restart_forgets_variables_and_keeps_the_loop(lab: Lab) -> None:
    lab.hold()
    with kernel(lab) as started:
        started.execute("%loop start --experiments 2 --seed 1")
        lab.has_started(0)
        runner = lab.runner()
        started.manager.restart_kernel(now=False)
        started.client.wait_for_ready(timeout=60)
        assert lab.runner() == runner
        lab.go()
        assert started.execute("%loop wait").status == "ok"
    lab.is_sound(2)


def test_nbclient_runs_a_notebook(lab: Lab) -> None:
    prefix = lab.place.path / "prefix"
    lab.overnight("install", "--prefix", str(prefix))
    notebook = book("%loop start --experiments 3 --seed 1", "%loop wait", "%experiments", "%plot progress")
    specs = KernelSpecManager(kernel_dirs=[str(prefix / "share/jupyter/kernels")], ensure_native_kernel=False)
    manager = AsyncKernelManager(kernel_name="overnight", kernel_spec_manager=specs)
    manager.connection_file = str(lab.place.path / "run/nbclient.json")
    client = NotebookClient(notebook, km=manager, timeout=120, resources={"metadata": {"path": str(lab.root)}})
    client.execute(env=lab.place.env, cleanup_kc=True)
    outputs = [cell["outputs"] for cell in notebook["cells"]]
    assert all(outputs), "a cell has no output"
    # The view of `%loop wait` is one output that was updated in place, and its last state is saved.
    assert len([o for o in outputs[1] if o["output_type"] == "display_data"]) == 1
    assert "the live view goes on in [2]" in str(outputs[0]), outputs[0]
    assert "it has done its 3 experiments" in str(outputs[1]), outputs[1]
    nbformat.validate(notebook)
