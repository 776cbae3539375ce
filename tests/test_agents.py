"""Coding agents as proposers, by the Agent Client Protocol: the real binary, and an agent that behaves as it is told."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

from labs import Lab
from places import BINARY, until

AGENT = '''\
import json, os, re, subprocess, sys

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
            told.write(json.dumps([text, tool(server, "experiments", {}), dict(os.environ)]) + "\\n")
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
    """What it was told: the text, what a tool answered, its environment."""
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
    text, table, environment = told(lab)[0]
    assert "Explore the learning rate first." in text and "one change to the editable files, in place" in text
    assert "baseline" in table and "OVERNIGHT_RUN" in environment


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
    name = agent(lab, "def work(text):\n    sys.exit(3)\n")
    lab.night("--agent", name, "--experiments", "2", code=1, env=env(lab))
    assert "it ended (exit status: 3)" in lab.status()["problem"]
    done = lab.overnight("loop", "start", "--agent", "acp:no-such-agent", code=3)
    assert "`no-such-agent` is not on the PATH" in done.err
    done = lab.overnight("loop", "start", "--agent", "acp:claude", code=3, env={"PATH": "/usr/bin:/bin"})
    assert "npm install -g @agentclientprotocol/claude-agent-acp" in done.err


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
