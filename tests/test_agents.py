"""Coding agents as proposers, by the Agent Client Protocol: the real binary, and an agent that behaves as it is told."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

from labs import Lab, alive
from models import CANARY
from places import BINARY, until

AGENT = '''\
import glob, json, os, re, shutil, signal, subprocess, sys, time

def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

def tool(server, name, arguments):
    """Calls a tool of the server that the session was given."""
    lines = [{"id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}},
             {"id": 2, "method": "tools/call", "params": {"name": name, "arguments": arguments}}]
    ended = subprocess.run([server["command"], *server["args"]], input="".join(json.dumps(l) + "\\n" for l in lines),
                           capture_output=True, text=True)
    return json.loads(ended.stdout.splitlines()[1])["result"]["content"][0]["text"]

for line in sys.stdin:
    message = json.loads(line)
    method, number, params = message.get("method"), message.get("id"), message.get("params")
    if method == "initialize":
        send(id=number, result={"protocolVersion": 1})
    elif method == "session/new":
        server = params["mcpServers"][0]
        send(id=number, result={"sessionId": "s"})
    elif method == "session/prompt":
        text = params["prompt"][0]["text"]
        with open(os.environ["TOLD"], "a") as told:
            told.write(json.dumps([text, tool(server, "experiments", {}), dict(os.environ), os.getpid()]) + "\\n")
        said = work(text)
        send(method="session/update",
             params={"sessionId": "s", "update": {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": said}}})
        send(id=number, result={"stopReason": "end_turn", "usage": {"inputTokens": 11, "outputTokens": 7}})
'''


def agent(lab: Lab, work: str) -> str:
    """Writes an agent that does `work(text)`, and returns what `--agent` calls it."""
    file = lab.place.path / "agent.py"
    file.write_text(textwrap.dedent(work) + "\n" + AGENT)
    return f"acp:{sys.executable} {file}"


def told(lab: Lab) -> list[list]:
    """What it was told: the text, what a tool answered, its environment, its process."""
    return [json.loads(line) for line in (lab.place.path / "told").read_text().splitlines()]


def env(lab: Lab) -> dict[str, str]:
    return {"TOLD": str(lab.place.path / "told")}


def test_an_agent_edits_and_is_told_what_was_tried(make_lab) -> None:
    lab = make_lab(ahead=False)
    name = agent(lab, '''
        def work(text):
            number = int(re.findall("Propose experiment ([0-9]+)", text)[0])
            source = open("train.py").read()
            open("train.py", "w").write(re.sub("WIDTH = [0-9]+", f"WIDTH = {48 + 24 * number}", source))
            open("harness.py", "w").write("print('val_bpb: 0')")
            return f"I did it.\\n**HYPOTHESIS:** wider by {number}"
        ''')
    lab.night("--agent", name, "--experiments", "3", env=env(lab))
    found = lab.is_sound(3)
    assert [e["hypothesis"] for e in found[1:]] == ["wider by 1", "wider by 2"]
    assert found[1]["status"] == "keep" and "harness.py" in found[1]["reason"]
    assert found[1]["cost"]["output_tokens"] == 7 and found[1]["proposer"] == name
    assert lab.git("diff", "--name-only", found[0]["candidate"], found[1]["candidate"]).split() == ["train.py"]
    text, table, environment, _ = told(lab)[0]
    assert "Explore the learning rate first." in text and "one change to the editable files, in place" in text
    assert "baseline" in table and "OVERNIGHT_RUN" in environment


def test_what_an_agent_is_doing_is_seen(make_lab) -> None:
    lab = make_lab()
    script = agent(lab, """
        def work(text):
            call = {"sessionUpdate": "tool_call", "toolCallId": "1", "title": "Read  train.py", "kind": "read"}
            send(method="session/update", params={"sessionId": "s", "update": call})
            while not os.path.exists(os.environ["TOLD"] + ".go"):
                time.sleep(0.01)
            text = open("train.py").read()
            open("train.py", "w").write(text.replace("LR = 0.04", "LR = 0.03"))
            return "HYPOTHESIS: a lower rate"
    """)
    lab.overnight("loop", "start", "--agent", script, "--experiments", "2", env=env(lab))
    doing = "is at `Read train.py`"
    until(lambda: (lab.status()["slots"] or [{}])[0].get("doing") == doing, "it is seen to read")
    assert doing in lab.overnight("loop", "status").out
    (lab.place.path / "told.go").touch()
    lab.overnight("loop", "wait")
    assert [e["hypothesis"] for e in lab.is_sound(2)] == ["baseline", "a lower rate"]


def test_an_agent_mends_its_own_mistake(make_lab) -> None:
    lab = make_lab(ahead=False)
    name = agent(lab, '''
        def work(text):
            source = open("train.py").read()
            broken = "has failed" not in text
            source = source.replace("LR = 0.04", "LR = 0.02 +") if broken else source.replace("LR = 0.02 +", "LR = 0.02")
            open("train.py", "w").write(source)
            return "HYPOTHESIS: a lower rate is steadier"
        ''')
    lab.night("--agent", name, "--experiments", "2", env=env(lab))
    found = lab.is_sound(2)
    assert [run["exit"] for run in found[1]["runs"]] == ["exit 1", "0"] and found[1]["status"] == "keep"
    assert "SyntaxError" in told(lab)[1][0]


def test_an_agent_that_dies_or_is_not_there_is_told(lab: Lab) -> None:
    name = agent(lab, "def work(text):\n    print('out of ideas', file=sys.stderr)\n    sys.exit(3)\n")
    lab.night("--agent", name, "--experiments", "2", code=1, env=env(lab))
    assert "it ended (exit status: 3); it said: out of ideas" in lab.status()["problem"]
    done = lab.overnight("loop", "start", "--agent", "acp:no-such-agent", code=3)
    assert "`no-such-agent` is not on the PATH" in done.err
    done = lab.overnight("loop", "start", "--agent", "acp:claude", code=3, env={"PATH": "/usr/bin:/bin"})
    assert "npm install -g @agentclientprotocol/claude-agent-acp" in done.err


WIDER = '''
def which(text):
    return int(re.findall("Propose experiment ([0-9]+)", text)[0])

def widen(text, widths):
    """Changes the width, and says what it was."""
    source = open("train.py").read()
    was = re.findall("WIDTH = ([0-9]+)", source)[0]
    open("train.py", "w").write(source.replace(f"WIDTH = {was}", f"WIDTH = {widths[which(text)]}"))
    return f"HYPOTHESIS: from {was} to {widths[which(text)]}"
'''


def test_the_ledger_is_there_as_files_and_is_no_change(make_lab) -> None:
    """Not where it is in the way of what may be edited, not where the agent does to it what it likes."""
    lab = make_lab(ahead=False, editable=["train.py", "**/*.tsv", "**/*.txt"])
    name = agent(lab, WIDER + '''
def work(text):
    found = {path: open(path).read() for path in glob.glob(".overnight/**", recursive=True) if os.path.isfile(path)}
    json.dump(found, open(os.environ["TOLD"] + f".{which(text)}", "w"))
    said = widen(text, {1: 72, 2: 16, 3: 80})
    open(".overnight/experiments.tsv", "a").write("9\\tkeep\\t0.0\\n")
    open(".overnight/new.txt", "w").write("x")
    shutil.rmtree(".overnight/experiments/0")
    os.symlink(os.environ["HOME"], ".overnight/experiments/0")
    return said
''')
    before = sorted(path.name for path in (lab.place.path / "home").iterdir())
    lab.night("--agent", name, "--experiments", "4", env=env(lab))
    found = lab.is_sound(4)
    assert [e["status"] for e in found] == ["keep", "keep", "discard", "keep"]
    for each in found[1:]:
        assert "dropped" not in each["reason"]
        assert lab.git("diff", "--name-only", each["parent"], each["candidate"]).split() == ["train.py"]
    files = json.loads((lab.place.path / "told.3").read_text())
    names = ["brief.md", "experiments.tsv"]
    names += [f"experiments/{n}/{name}" for n in range(3) for name in ("changes.diff", "experiment.md", "log.txt")]
    assert sorted(files) == [f".overnight/{name}" for name in sorted(names)]
    table = [line.split("\t") for line in files[".overnight/experiments.tsv"].splitlines()]
    assert [line[:2] for line in table] == [["number", "status"], ["0", "keep"], ["1", "keep"], ["2", "discard"]]
    assert table[2][5] == "from 48 to 72" and float(table[2][2]) == found[1]["value"]
    assert "num_params_M" in files[".overnight/experiments/0/log.txt"]
    assert "-WIDTH = 48\n+WIDTH = 72\n" in files[".overnight/experiments/1/changes.diff"]
    assert "```data\nfrom 72 to 16\n" in files[".overnight/experiments/2/experiment.md"]
    assert "Explore the learning rate first." in files[".overnight/brief.md"]
    assert "`.overnight/`" in told(lab)[0][0] and "never an instruction" in told(lab)[0][0]
    assert sorted(path.name for path in (lab.place.path / "home").iterdir()) == before


def test_leave_is_given_for_what_is_editable_and_nothing_else(make_lab) -> None:
    """New files too, where a glob allows them; no trick with paths, kinds or links gets more than that."""
    lab = make_lab(ahead=False, editable=["train.py", "parts/**/*.py", "**/*.md"])
    name = agent(lab, WIDER + '''
asked = []

def may(call):
    asked.append(call)
    options = [{"optionId": kind, "name": kind, "kind": kind} for kind in ("allow_always", "allow_once", "reject_once")]
    call = {"toolCallId": str(len(asked)), **call}
    send(id=1000 + len(asked), method="session/request_permission",
         params={"sessionId": "s", "toolCall": call, "options": options})
    return json.loads(sys.stdin.readline())["result"]["outcome"]["optionId"]

def edit(*paths, kind="edit", **more):
    return may({"kind": kind, "locations": [{"path": path} for path in paths], **more})

def work(text):
    os.mkdir("parts")
    os.symlink(os.environ["HOME"], "parts/out")
    here = os.getcwd()
    yes = [edit("train.py"), edit(here + "/train.py"), edit("parts/new.py"), edit("parts/a/b.py", "notes.md"),
           edit(".overnight/brief.md", kind="read")]
    no = [edit("harness.py"), edit("program.md"), edit("../train.py"), edit("parts/../harness.py"), edit("/etc/x.py"),
          edit(os.environ["HOME"] + "/a.md"), edit("parts/out/a.py"), edit(".overnight/brief.md"), edit(".git/a.md"),
          edit("train.py", "harness.py"), edit(), edit("train.py", kind="execute"), edit("train.py", kind="delete"),
          edit("train.py", rawInput={"command": "rm -rf ."}), edit("train.py", kind="read", rawInput={"command": ["sh"]}),
          edit("train.py", rawInput={"edits": [{"path": "harness.py"}]}), edit("../secret", kind="read"),
          edit("train.py", toolCallId="1", rawInput={"path": "harness.py"}), edit("train.py", toolCallId="1")]
    json.dump([yes, no], open(os.environ["TOLD"] + ".seen", "w"))
    for path in ("parts/new.py", "parts/out/a.py", "harness.py", "new.txt"):
        open(path, "w").write("x = 1\\n")
    return widen(text, {1: 72})
''')
    lab.night("--agent", name, "--experiments", "2", env=env(lab))
    yes, no = json.loads((lab.place.path / "told.seen").read_text())
    assert (yes, no) == (["allow_once"] * 5, ["reject_once"] * 19)
    baseline, found = lab.is_sound(2)
    changed = lab.git("diff", "--name-only", baseline["candidate"], found["candidate"]).split()
    assert found["status"] == "keep" and changed == ["parts/new.py", "train.py"]
    assert "were dropped: harness.py, new.txt, parts/out" in found["reason"]


def test_a_program_finds_the_ledger_as_files_too(make_lab) -> None:
    lab = make_lab(ahead=False)
    name = lab.proposer('''
        source = open("train.py").read()
        table = open(".overnight/experiments.tsv").read()
        open("train.py", "w").write(source.replace("WIDTH = 48", f"WIDTH = {80 + len(table.splitlines())}"))
        ''')
    lab.night("--agent", name, "--experiments", "2")
    found = lab.is_sound(2)
    assert "WIDTH = 82" in lab.git("show", f"{found[1]['candidate']}:train.py") and "dropped" not in found[1]["reason"]


def test_a_kept_session_is_told_what_is_new(make_lab) -> None:
    lab = make_lab(ahead=False, agent_session="kept")
    name = agent(lab, WIDER + "def work(text):\n    return widen(text, {1: 72, 2: 16, 3: 80})\n")
    lab.night("--agent", name, "--experiments", "4", env=env(lab))
    found = lab.is_sound(4)
    # Each began with the best, and not with what the session had left.
    assert [e["hypothesis"] for e in found[1:]] == ["from 48 to 72", "from 72 to 16", "from 72 to 80"]
    (first, *_, process), (second, *_, same), (third, *_, still) = told(lab)
    assert process == same == still
    assert "You are the research agent" in first and "Explore the learning rate first." in first and "WIDTH = 48" in first
    for later in (second, third):
        assert "What is new stands below" in later and "HYPOTHESIS:" in later
        assert "You are the research agent" not in later and "Explore the learning rate first." not in later
    assert "Experiment 1 (keep" in second and "\nWIDTH = 72" in second and "Experiment 0" not in second
    assert "Experiment 2 (discard" in third and "Experiment 1 (keep" not in third and "\nWIDTH = " not in third


def test_a_kept_session_ends_with_the_program_that_it_was_told(make_lab) -> None:
    lab = make_lab(ahead=False, agent_session="kept")
    name = agent(lab, WIDER + f'''
def work(text):
    program = open("{lab.root}/program.md").read()
    open("{lab.root}/program.md", "w").write(program.replace("Explore the learning rate first.", "Be bold."))
    return widen(text, {{1: 72, 2: 80}})
''')
    lab.night("--agent", name, "--experiments", "3", env=env(lab))
    assert len(lab.is_sound(3)) == 3
    (first, *_, process), (second, *_, other) = told(lab)
    assert process != other and "Explore the learning rate first." in first
    assert "You are the research agent" in second and "Be bold." in second


def test_a_session_of_its_own_for_each_is_told_everything(make_lab) -> None:
    lab = make_lab(ahead=False)
    name = agent(lab, WIDER + "def work(text):\n    return widen(text, {1: 72, 2: 16})\n")
    lab.night("--agent", name, "--experiments", "3", env=env(lab))
    (first, *_, process), (second, *_, other) = told(lab)
    assert process != other and "Experiment 1 (keep" in second
    for text in (first, second):
        assert "You are the research agent" in text and "Explore the learning rate first." in text


def test_a_kept_session_that_died_is_begun_anew(make_lab) -> None:
    lab = make_lab(ahead=False, agent_session="kept")
    name = agent(lab, WIDER + '''
def work(text):
    if which(text) == 2 and "What is new" in text:
        os.kill(os.getpid(), signal.SIGKILL)
    return widen(text, {1: 72, 2: 16})
''')
    lab.night("--agent", name, "--experiments", "3", env=env(lab))
    assert [e["hypothesis"] for e in lab.is_sound(3)[1:]] == ["from 48 to 72", "from 72 to 16"]
    (_, *_, process), (second, *_, same), (again, *_, other) = told(lab)
    assert process == same != other and "What is new" in second
    assert "You are the research agent" in again and "Explore the learning rate first." in again


@pytest.mark.parametrize("session", ["fresh", "kept"])
def test_an_agent_that_hangs_is_ended_and_the_loop_goes_on(make_lab, session: str) -> None:
    lab = make_lab(ahead=False, agent_session=session, agent_timeout="8s")
    name = agent(lab, WIDER + '''
def work(text):
    if which(text) == 2 and not os.path.exists(os.environ["TOLD"] + ".hung"):
        open(os.environ["TOLD"] + ".hung", "w").close()
        subprocess.Popen(["sleep", "1000"])
        print("waiting with", os.environ["ANTHROPIC_API_KEY"], file=sys.stderr, flush=True)
        time.sleep(1000)
    return widen(text, {1: 72, 2: 16})
''')
    lab.night("--agent", name, "--experiments", "3", env=env(lab) | {"ANTHROPIC_API_KEY": CANARY})
    assert [e["hypothesis"] for e in lab.is_sound(3)[1:]] == ["from 48 to 72", "from 72 to 16"]
    assert "You are the research agent" in told(lab)[-1][0], "the session that hung is not gone on with"
    # What it said is in the log, but for what nobody may know.
    log = (lab.state / "runner.log").read_text()
    assert "waiting with $ANTHROPIC_API_KEY" in log
    lab.has_nowhere(CANARY)
    gone = [e["reason"] for e in lab.events() if "did not answer" in e.get("reason", "")]
    assert len(gone) == 1 and "did not answer `session/prompt` within 8 s; it said: waiting with $ANTHROPIC_API_KEY" in gone[0]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_an_agent_ends_with_its_loop(make_lab, end: str) -> None:
    """Also where it never listens, and where the runner could not end it."""
    lab = make_lab(ahead=False, agent_session="kept")
    name = agent(lab, WIDER + '''
def work(text):
    if not os.path.exists(os.environ["TOLD"] + ".hung"):
        open(os.environ["TOLD"] + ".hung", "w").close()
        time.sleep(1000)
    return widen(text, {1: 72, 2: 80})
''')
    arguments = ("--agent", name, "--experiments", "2")
    lab.overnight("loop", "start", *arguments, env=env(lab))
    until((lab.place.path / "told.hung").exists, "the agent hangs")
    if end == "stop":
        lab.overnight("loop", "stop", "--now")
        lab.overnight("loop", "wait", code=None)
    else:
        lab.kill_runner()
    lab.night(*arguments, env=env(lab))
    (_, *_, hung), *_ = told(lab)
    assert not alive(hung) and lab.is_sound()[1]["hypothesis"] == "from 48 to 72"


def test_an_agent_that_is_not_logged_in_pauses_the_loop(lab: Lab) -> None:
    name = agent(lab, "def work(text):\n    return ''\n")
    file = lab.place.path / "agent.py"
    refuse = 'send(id=number, error={"code": -32000, "message": "Authentication required"})'
    file.write_text(file.read_text().replace('send(id=number, result={"sessionId": "s"})', refuse))
    lab.overnight("loop", "start", "--agent", name, "--experiments", "2", env=env(lab))
    status = until(lambda: (s := lab.status())["state"] == "paused" and s, "the loop pauses")
    assert "is not logged in: session/new: Authentication required" in status["problem"]
    lab.overnight("loop", "stop")
    lab.overnight("loop", "wait", code=None)


def test_tools_by_mcp(lab: Lab) -> None:
    lab.night("--experiments", "2", "--seed", "1")
    lines = [{"id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}},
             {"method": "notifications/initialized"},
             {"id": 2, "method": "tools/list"},
             {"id": 3, "method": "tools/call", "params": {"name": "sql", "arguments": {"query": "SELECT count(*) AS n FROM experiments"}}},
             {"id": 4, "method": "tools/call", "params": {"name": "sql", "arguments": {"query": "SELECT nothing FROM experiments"}}}]
    text = "".join(json.dumps({"jsonrpc": "2.0", **line}) + "\n" for line in lines)
    ended = subprocess.run([BINARY, "mcp"], input=text, capture_output=True, text=True, cwd=lab.root, env=lab.place.env,
                           check=True, timeout=60)
    hello, tools, counted, refused = (json.loads(line)["result"] for line in ended.stdout.splitlines())
    assert hello["protocolVersion"] == "2025-06-18"
    assert [tool["name"] for tool in tools["tools"]] == ["experiments", "experiment", "diff", "log", "sql"]
    assert "2" in counted["content"][0]["text"] and not counted["isError"]
    assert refused["isError"]
