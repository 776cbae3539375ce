"""Real coding agents as proposers: the real binary, the real agent, and a scripted model on the loopback.

`tests/run --agents` installs them below tests/.agents, in the versions of tests/agents/package-lock.json.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent_models import AgentModel, Asked, agent_model
from labs import Lab
from models import CANARY, Call

FOLDER = Path(__file__).resolve().parent / ".agents/node_modules"
PATHS = [FOLDER / "node/bin", FOLDER / ".bin"]

pytestmark = pytest.mark.agents


@dataclass(frozen=True)
class Agent:
    """An agent, and what its model has it do."""

    name: str
    #: Reads the file that it is to edit.
    read: Call
    #: Edits a file: `edit(path, old, new)`.
    edit: Callable[[str, str, str], Call]
    #: The tool of the lab that lists the experiments.
    tool: str
    #: What its environment needs, by the address of the model.
    env: Callable[[str], dict[str, str]]
    #: What its files of settings need: the text of each by its path in the home folder.
    files: Callable[[str], dict[str, str]] = lambda _: {}
    #: Whether it goes on with its turn when it is refused something.
    goes_on: bool = True


AGENTS = [
    Agent(
        "claude",
        Call("Read", {"file_path": "train.py"}),
        lambda path, old, new: Call("Edit", {"file_path": path, "old_string": old, "new_string": new}),
        "mcp__lab__experiments",
        lambda url: {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": CANARY, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"},
    ),
    Agent(
        "codex",
        Call("exec_command", {"cmd": "cat train.py"}),
        lambda path, old, new: Call("apply_patch", {
            "patch": f"*** Begin Patch\n*** Update File: {path}\n@@\n-{old}\n+{new}\n*** End Patch"}),
        "mcp__lab.experiments",
        lambda _: {"MODEL_KEY": CANARY},
        lambda url: {".codex/config.toml": (
            'model = "gpt-5.5"\nmodel_provider = "scripted"\n[model_providers.scripted]\nname = "scripted"\n'
            f'base_url = "{url}/v1"\nwire_api = "responses"\nenv_key = "MODEL_KEY"\n')},
        goes_on=False,
    ),
    Agent(
        "gemini",
        Call("read_file", {"file_path": "train.py"}),
        lambda path, old, new: Call("replace", {"file_path": path, "old_string": old, "new_string": new,
                                                "instruction": "change it"}),
        "mcp_lab_experiments",
        lambda url: {"GEMINI_API_KEY": CANARY, "GOOGLE_GEMINI_BASE_URL": url, "GEMINI_MODEL": "gemini-2.5-flash",
                     "GEMINI_TELEMETRY_ENABLED": "false"},
    ),
    Agent(
        "opencode",
        Call("read", {"filePath": "train.py"}),
        lambda path, old, new: Call("edit", {"filePath": path, "oldString": old, "newString": new}),
        "lab_experiments",
        lambda _: {"OPENCODE_DISABLE_MODELS_FETCH": "1", "MODEL_KEY": CANARY},
        lambda url: {"config/opencode/opencode.json": json.dumps({
            "model": "scripted/scripted", "small_model": "scripted/scripted", "provider": {"scripted": {
                "npm": "@ai-sdk/openai-compatible", "name": "Scripted",
                "options": {"baseURL": f"{url}/v1", "apiKey": "{env:MODEL_KEY}"},
                "models": {"scripted": {"name": "scripted", "limit": {"context": 64000, "output": 4000}}}}}})},
    ),
]


@pytest.fixture(params=AGENTS, ids=lambda agent: agent.name)
def agent(request: pytest.FixtureRequest) -> Agent:
    """One of the agents, if they are installed."""
    try:
        version = subprocess.run([FOLDER / "node/bin/node", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("the agents are not installed: `tests/run --agents` does it")
    if int(version[1:].split(".")[0]) < 22:
        pytest.skip(f"Node.js is {version.strip()}, and the agents want 22")
    return request.param


def night(lab: Lab, agent: Agent, it: AgentModel, *args: str) -> None:
    """A loop with a real agent."""
    home = Path(lab.place.env["HOME"])
    for path, text in agent.files(it.url).items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)
    path = os.pathsep.join([*map(str, PATHS), lab.place.env["PATH"]])
    lab.night("--agent", f"acp:{agent.name}", *args, env=agent.env(it.url) | {"PATH": path})


def test_an_agent_edits_what_it_may_and_nothing_else(make_lab: Callable[..., Lab], agent: Agent) -> None:
    lab = make_lab(ahead=False)
    steps = [agent.read, agent.edit("train.py", "WIDTH = 48", "WIDTH = 72"), Call(agent.tool, {}),
             agent.edit("harness.py", "STEPS = 8", "STEPS = 1")]

    def script(asked: Asked) -> str | Call:
        done = len(asked.results)
        return steps[done] if done < len(steps) else "I did it.\n\nHYPOTHESIS: a wider model learns more"

    with agent_model(script) as it:
        night(lab, agent, it, "--experiments", "2")
    found = lab.is_sound(2)
    assert found[1]["status"] == "keep" and found[1]["proposer"] == f"acp:{agent.name}"
    assert found[1]["hypothesis"] == ("a wider model learns more" if agent.goes_on else "changes train.py")
    assert lab.git("diff", "--name-only", found[0]["candidate"], found[1]["candidate"]).split() == ["train.py"]
    assert "+WIDTH = 72" in lab.git("diff", found[0]["candidate"], found[1]["candidate"])
    results = max((asked.results for asked in it.asked), key=len)
    assert "WIDTH = 48" in results[0] and "baseline" in results[2], "it reads its folder and the experiments"
    [harness] = lab.place.path.glob("cache/overnight/*/proposers/0/tree/harness.py")
    assert "STEPS = 8" in harness.read_text(), "it was refused, and not only dropped"
    lab.has_nowhere(CANARY)


def test_a_session_is_kept(make_lab: Callable[..., Lab], agent: Agent) -> None:
    """What the first proposal was told is before what the second is told, in one conversation."""
    lab = make_lab(ahead=False, agent_session="kept")
    steps = [agent.read, agent.edit("train.py", "WIDTH = 48", "WIDTH = 72"), "HYPOTHESIS: wider",
             agent.read, agent.edit("train.py", "WIDTH = 72", "WIDTH = 80"), "HYPOTHESIS: wider still"]
    left = iter(steps)
    with agent_model(lambda _: next(left)) as it:
        night(lab, agent, it, "--experiments", "3")
    found = lab.is_sound(3)
    assert [e["hypothesis"] for e in found[1:]] == ["wider", "wider still"]
    last = it.asked[-1]
    assert len(last.results) == 4 and last.told.count("You are the research agent") == 1
    assert "What is new stands below" in last.told and "Experiment 1 (keep" in last.told
