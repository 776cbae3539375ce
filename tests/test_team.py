"""Several proposers in one loop: a bandit between them, and nobody who keeps the others waiting."""

from __future__ import annotations

from labs import Lab
from models import CANARY, Refusal, change, model

AGENT = "anthropic:claude-opus-5"


def test_several_take_turns_and_each_has_a_record(lab: Lab) -> None:
    """The model always has another target, which never helps; `search` has its own luck."""
    def answer(told: str) -> str:
        return change("(WARMUP - 0.3)", f"(WARMUP - 0.{60 + len(it.asked)})", f"target {len(it.asked)}")

    lab.program(ahead=False)
    lab.commit()
    with model(answer) as it:
        lab.night("--agent", f"search,{AGENT}", "--experiments", "9", env=it.env())
    found = lab.is_sound(9)
    by = [e["proposer"] for e in found[1:]]
    assert set(by) == {"search", AGENT} and by[:2] == ["search", AGENT], by
    assert by.count(AGENT) == len(it.asked)
    table = lab.overnight("experiments").out
    assert "search: " in table and f"{AGENT}: " in table and " kept of " in table
    assert lab.happened("loop_started")[0]["proposer"] == f"search,{AGENT}"


def test_one_that_cannot_go_on_is_left_out_and_the_others_go_on(lab: Lab) -> None:
    with model(lambda _: Refusal(401, f"invalid x-api-key: {CANARY}")) as it:
        lab.overnight("loop", "start", "--agent", f"search,{AGENT}", "--experiments", "5", "--wait", env=it.env())
        assert len(it.asked) == 1
    assert {e["proposer"] for e in lab.is_sound(5)[1:]} == {"search"}
    assert "it has done its 5" in lab.happened("loop_ended")[-1]["reason"]


def test_the_last_one_to_go_ends_the_loop(lab: Lab) -> None:
    silent = lab.proposer("print('nothing')\n")
    lab.night("--agent", f"{silent},{silent} --again", "--experiments", "5")
    assert "nothing to propose" in lab.happened("loop_ended")[-1]["reason"]
    lab.is_sound(1)


def test_what_cannot_be_is_said_of_the_one_that_it_is(lab: Lab) -> None:
    done = lab.overnight("loop", "start", "--agent", "search,acp:no-such-agent", code=3)
    assert "`acp:no-such-agent`: the program `no-such-agent` is not on the PATH" in done.err


def test_a_better_proposer_at_hand_is_named(lab: Lab) -> None:
    claude = lab.place.path / "bin/claude"
    claude.parent.mkdir(exist_ok=True)
    claude.write_text("#!/bin/sh\n")
    claude.chmod(0o755)
    done = lab.overnight("loop", "start", "--experiments", "1", "--wait", env={"OPENAI_API_KEY": "k"})
    assert "claude is installed: `--agent acp:claude`" in done.out and "OPENAI_API_KEY is set" in done.out
