"""The magics that notebooks of every language have, as people know them from IPython."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from kernels import Kernel, kernel
from labs import Lab


@pytest.fixture
def k(lab: Lab) -> Iterator[Kernel]:
    """A kernel in the usual lab."""
    with kernel(lab) as started:
        yield started


def said(k: Kernel, code: str) -> str:
    """What a cell that goes well shows."""
    cell = k.execute(code)
    assert cell.status == "ok", f"{code}: {cell.text}"
    return cell.text.strip()


def test_folders_and_variables(k: Kernel, lab: Lab) -> None:
    (lab.root / "sub").mkdir()
    assert said(k, "%cd") == str(lab.root)
    assert said(k, "%cd sub") == str(lab.root / "sub")
    assert said(k, "!pwd") == str(lab.root / "sub")
    assert "loop start" in said(k, "%experiments"), "a folder of the lab is about the lab"
    nowhere = k.execute("%cd nowhere")
    assert nowhere.status == "error" and "nowhere" in nowhere.text

    assert said(k, "%env GREETING=good evening") == "GREETING=good evening"
    assert said(k, "%env COUNT eight") == "COUNT=eight"
    assert "'eight'" in k.execute("%experiments --top $COUNT").text, "a magic reads variables"
    assert said(k, '!echo "$GREETING"') == "good evening"
    assert said(k, "%env GREETING") == "good evening"
    k.execute("%env SOME_API_KEY=hush")
    everything = said(k, "%env")
    assert "GREETING=good evening" in everything and "hush" not in everything
    assert k.execute("%env NOT_THERE_AT_ALL").status == "error"


def test_a_secret_is_asked_for_and_stands_nowhere(k: Kernel) -> None:
    request = k.send("%env --ask SOME_API_KEY", allow_stdin=True)
    question = k.client.get_stdin_msg(timeout=30)["content"]
    assert question == {"prompt": "SOME_API_KEY: ", "password": True}
    k.client.input("hush")
    cell = k.collect(request)
    assert cell.status == "ok" and "hush" not in cell.text
    assert said(k, '!test "$SOME_API_KEY" = hush && echo known') == "known"
    refused = k.execute("%env --ask SOME_API_KEY", allow_stdin=False)
    assert refused.status == "error" and "cannot ask" in refused.text


def test_files_are_written_and_loaded(k: Kernel, lab: Lab) -> None:
    assert "wrote notes.txt" in said(k, "%%writefile notes.txt\none\ntwo\n")
    assert "overwrote" in said(k, "%%writefile notes.txt\none\n")
    said(k, "%%writefile -a notes.txt\nthree 🌙\n")
    assert (lab.root / "notes.txt").read_text() == "one\nthree 🌙\n"
    loaded = k.execute("%load notes.txt").reply["content"]["payload"]
    assert loaded == [{"source": "set_next_input", "text": "// %load notes.txt\none\nthree 🌙\n", "replace": True}]
    assert k.execute("%load nothing.txt").status == "error"
    for code in ("%writefile notes.txt", "%%writefile", "%time", "%%time\n%nope"):
        assert k.execute(code).status == "error", code


def test_time_is_told_of_whatever_runs(k: Kernel) -> None:
    assert "Wall time: 0." in said(k, "%time %experiments")
    timed = said(k, "%%time\n!sleep 0.2\n!echo done")
    assert "done" in timed and "Wall time: 0.0" not in timed
    failed = k.execute("%time !exit 3")
    assert failed.status == "error" and "Wall time" in failed.text and "3" in failed.text


def test_history_is_listed(k: Kernel) -> None:
    said(k, "!true")
    said(k, "%experiments")
    listed = said(k, "%history")
    assert "In [1]: !true" in listed and "In [2]: %experiments" in listed
    assert said(k, "%history -n 1") == "In [3]: %history"


def test_help_is_paged_for_a_question_mark_and_printed_for_an_option(k: Kernel) -> None:
    for code in ("%loop start?", "?loop start", "%experiments?"):
        cell = k.execute(code)
        (page,) = cell.reply["content"]["payload"]
        assert page["source"] == "page" and page["start"] == 0
        assert "Usage" in page["data"]["text/plain"]
    for code in ("%loop start --help", "%%sql --help", "%%writefile --help", "%time --help", "%history -h"):
        assert "Usage" in said(k, code), code
    unknown = k.execute("%nothing?")
    assert unknown.status == "error" and "%lsmagic" in unknown.text


def test_the_nearest_is_named(k: Kernel) -> None:
    for code, meant in [("%experimets", "experiments"), ("%loop start --hour 3", "--hours"),
                        ("%experiments --sort vale", "value"), ("%%bsh\nls", "%%bash"), ("%loop strt", "start")]:
        cell = k.execute(code)
        assert cell.status == "error" and meant in cell.text, (code, cell.text)
    both = said(k, "%experiments --top 3"), said(k, "%experiments --top=3")
    assert both[0] == both[1]


def test_every_command_answers_in_json(k: Kernel, lab: Lab) -> None:
    said(k, "%loop start --experiments 2 --seed 1 --wait")
    for code in ("%experiments", "%experiment 0", "%metrics 0", "%log 0", "%diff 1", "%best", "%loop status", "%loop space",
                 "%plot progress", "%program", "%doctor", "%sql SELECT 1 AS one"):
        cell = k.execute(f"{code} --json")
        assert cell.status == "ok", f"{code}: {cell.text}"
        assert "application/json" in cell.mimes, code


def test_completion_knows_experiments_and_files(k: Kernel, lab: Lab) -> None:
    said(k, "%loop start --experiments 2 --seed 1 --wait")

    def completed(code: str) -> list[str]:
        return k.ask("complete", code, len(code))["matches"]

    assert {"0", "1", "best"} <= set(completed("%diff "))
    assert completed("%experiment 1") == ["1"]
    assert completed("%export tra") == ["train.py"]
    assert completed("%experiments --sort va") == ["value"]
    assert completed("%experiments --status ke") == ["keep"]


def test_shell_commands_stream_fail_and_are_interrupted(k: Kernel, lab: Lab) -> None:
    request = k.send("!echo begun; sleep 1000")
    k.wait_published("stream", lambda content: "begun" in content["text"])
    assert k.interrupt()["status"] == "ok"
    reply = k.reply(k.client.get_shell_msg, request, time.monotonic() + 30)["content"]
    assert reply["ename"] == "Interrupted"
    failed = k.execute("!exit 7")
    assert failed.status == "error" and "7" in failed.text
    assert said(k, "%%bash\nfor i in 1 2; do echo $i; done") == "1\n2"


def test_a_magic_in_a_subshell_answers_while_the_main_shell_runs_a_cell(k: Kernel, lab: Lab) -> None:
    assert "kernel subshells" in k.ask("kernel_info")["supported_features"]
    session = k.client.session
    create = session.msg("create_subshell_request", {})
    k.client.control_channel.send(create)
    made = k.reply(k.client.get_control_msg, create["header"]["msg_id"], time.monotonic() + 30)
    held = k.send("!until [ -e ../go ]; do sleep 0.01; done")
    k.wait_published("execute_input")
    ask = session.msg("execute_request", {"code": "%experiments", "silent": False, "store_history": True,
                                          "user_expressions": {}, "allow_stdin": False, "stop_on_error": True})
    ask["header"]["subshell_id"] = made["content"]["subshell_id"]
    k.client.shell_channel.send(ask)
    reply = k.client.get_shell_msg(timeout=30)
    assert reply["parent_header"]["msg_id"] == ask["header"]["msg_id"], "the subshell answers first"
    assert reply["content"]["status"] == "ok"
    (lab.root / "../go").touch()
    assert k.reply(k.client.get_shell_msg, held, time.monotonic() + 30)["content"]["status"] == "ok"
