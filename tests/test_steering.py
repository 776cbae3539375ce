"""What a person says to the proposer, and what it is told by the loop itself: ideas, vetoes, hooks, the ladder."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest

from kernels import kernel
from labs import Lab
from models import Paused, change, model
from places import until

AGENT = "anthropic:claude-opus-5"
BETTER = change("LR = 0.04", "LR = 0.02", "a lower rate is steadier")


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    """One whose model is asked only when it is known what came of its last answer, so that scripts have an order."""
    return make_lab(ahead=False)


def warmup(value: float, **more: str) -> str:
    """A change for the worse, the more the smaller the value."""
    return change("WARMUP = 0.10", f"WARMUP = {value:.3f}", f"warm up for {value:.3f}", **more)


def test_ideas_wait_in_the_ledger_until_they_are_tried(lab: Lab) -> None:
    lab.program(ideas=["try a wider model", "try no warm-up"], ahead=False)
    lab.commit()
    lab.overnight("hypothesis", "halve the", "rate")
    lab.overnight("hypothesis", "warm up for longer", "--now")
    plan = lab.overnight("plan").out
    order = ["warm up for longer", "try a wider model", "try no warm-up", "halve the rate"]
    assert sorted(order, key=plan.index) == order, plan
    lab.overnight("plan", "strike", "3")
    lab.overnight("plan", "first", "3")
    assert [idea["text"] for idea in lab.json("plan")["ideas"]] == [
        "halve the rate", "warm up for longer", "try a wider model"]
    takes = change("LR = 0.04", "LR = 0.02", "half the rate", more="TAKES: idea 1\nIDEA: a batch of 8\nIDEA: try no warm-up\n")
    with model([takes, warmup(0.05)]) as it:
        lab.night("--agent", AGENT, "--experiments", "3", env=it.env())
    assert "Idea 1, of" in it.told(0) and "who wants it tried now" in it.told(0)
    assert "halve the rate" not in it.told(1).split("Ideas that wait")[1].split("# ")[0]
    assert "a batch of 8" in it.told(1)
    ideas = lab.json("plan")["ideas"]
    assert [(idea["text"], idea["from"]) for idea in ideas][-1] == ("a batch of 8", AGENT)
    assert "try no warm-up" not in [idea["text"] for idea in ideas], "what a person struck out stays out"
    tried = [e for e in lab.happened("idea_moved") if e["to"] == "tried"]
    assert [e["text"] for e in tried] == ["halve the rate"]
    found = lab.is_sound(3)
    assert tried[0]["experiment"] == found[1]["id"] and "expected: -0.01" in found[1]["reason"]
    assert "there is no idea 9" in lab.overnight("plan", "strike", "9", code=1).err


def test_what_is_vetoed_is_refused_and_the_model_told(lab: Lab) -> None:
    lab.overnight("loop", "veto", "warm.?up")
    with model([warmup(0.05), change("(WARMUP - 0.3)", "(WARMUP - 0.2)", "another target"), BETTER]) as it:
        lab.night("--agent", AGENT, "--experiments", "2", env=it.env())
    assert "Ruled out by the researcher" in it.told(0) and "warm.?up" in it.told(0)
    assert "ruled out what matches `warm.?up`" in it.told(1)
    assert lab.is_sound(2)[1]["hypothesis"] == "a lower rate is steadier"
    assert "cannot be read" in lab.overnight("loop", "veto", "(", code=2).err
    lab.overnight("loop", "veto", "--lift", "warm.?up")
    assert lab.json("plan")["vetoes"] == []


def test_search_leaves_alone_what_is_vetoed(lab: Lab) -> None:
    lab.overnight("loop", "veto", "^(LR|WIDTH)$")
    lab.night("--experiments", "4")
    assert all(e["hypothesis"].startswith("WARMUP ") and "," not in e["hypothesis"] for e in lab.is_sound(4)[1:])
    lab.overnight("loop", "veto", "WARMUP")
    lab.night("--experiments", "2")
    assert "ruled out" in lab.happened("loop_ended")[-1]["reason"]


def test_a_veto_ends_what_runs(lab: Lab) -> None:
    lab.hold()
    with model([warmup(0.05), BETTER]) as it:
        lab.overnight("loop", "start", "--agent", AGENT, "--experiments", "2", env=it.env())
        lab.go(0)
        lab.has_started(1)
        assert "warm up for 0.050" in lab.overnight("plan").out
        assert "experiment 1 is ended" in lab.overnight("loop", "veto", "1").out
        lab.go()
        lab.overnight("loop", "wait")
    found = lab.is_sound(2)
    assert found[1]["hypothesis"] == "a lower rate is steadier", "its number is free again"
    assert lab.happened("vetoed")[0]["number"] == 1


def test_a_veto_gives_up_what_waits(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab()
    lab.hold()
    with model([BETTER, warmup(0.05), warmup(0.07)]) as it:
        lab.overnight("loop", "start", "--agent", AGENT, "--experiments", "3", env=it.env())
        lab.go(0)
        lab.has_started(1)
        until(lambda: lab.status()["queued"], "experiment 2 waits")
        assert "before it runs" in lab.overnight("loop", "veto", "0\\.05").out
        lab.go()
        lab.overnight("loop", "wait")
    assert [e["hypothesis"] for e in lab.is_sound(3)[1:]] == ["a lower rate is steadier", "warm up for 0.070"]


def test_a_veto_reaches_what_is_being_made(lab: Lab) -> None:
    go = threading.Event()
    worse = warmup(0.05)
    with model([Paused(worse[:20], worse[20:], go), BETTER]) as it:
        lab.overnight("loop", "start", "--agent", AGENT, "--experiments", "2", env=it.env())
        until(lambda: len(it.asked) == 1, "the model is answering")
        lab.overnight("loop", "veto", "warm.?up")
        go.set()
        lab.overnight("loop", "wait")
    assert "ruled out what matches" in it.told(1)
    assert [e["hypothesis"] for e in lab.is_sound(2)[1:]] == ["a lower rate is steadier"]


def test_an_idea_on_its_way_is_not_offered_again(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab()
    lab.hold()
    lab.overnight("hypothesis", "halve the rate", "--now")
    lab.overnight("hypothesis", "a longer warm-up")
    with model([change("LR = 0.04", "LR = 0.02", more="TAKES: 1\n"), warmup(0.05)]) as it:
        lab.overnight("loop", "start", "--agent", AGENT, "--experiments", "3", env=it.env())
        lab.go(0)
        lab.has_started(1)
        until(lambda: len(it.asked) == 2, "the model is asked while experiment 1 runs")
        waiting = it.told(1).split("# Ideas that wait")[1].split("\n# ")[0]
        assert "a longer warm-up" in waiting and "halve the rate" not in waiting
        lab.go()
        lab.overnight("loop", "wait")
    lab.is_sound(3)


def test_whoever_is_stuck_is_told_to_go_about_it_in_another_way(lab: Lab) -> None:
    lab.program(plateau=6, ahead=False)
    lab.commit()
    with model([warmup(0.09 - n / 50) for n in range(5)] + [change("WIDTH = 48", "WIDTH = 24")]) as it:
        lab.night("--agent", AGENT, "--experiments", "20", env=it.env())
    assert "How to go on" not in it.told(2)
    assert "last 3 experiments improved nothing. Refine" in it.told(3)
    assert "last 5 experiments improved nothing. Leave this area" in it.told(5)
    assert [(e["after"], e["rung"]) for e in lab.happened("stuck")] == [(3, "refine"), (5, "elsewhere")]
    assert "a plateau: the last 6 experiments" in lab.happened("loop_ended")[-1]["reason"]
    lab.is_sound(7)
    assert "improved nothing" in lab.overnight("plan").out


def test_what_is_not_new_is_refused(lab: Lab) -> None:
    nothing = change("LR = 0.04", "LR = 0.04  # slow", "say that it is slow")
    hair = change("LR = 0.04", "LR = 0.0401", "a hair faster")
    with model([nothing, hair, BETTER]) as it:
        lab.night("--agent", AGENT, "--experiments", "2", env=it.env())
    assert "it is not new: it differs from experiment 0 in comments" in it.told(1)
    assert lab.is_sound(2)[1]["hypothesis"] == "a lower rate is steadier"


def test_a_near_miss_is_offered_again_when_the_best_has_moved_on(lab: Lab) -> None:
    steps = [change("WARMUP = 0.10", "WARMUP = 0.098", "a touch less warm-up"), BETTER,
             change("LR = 0.02", "LR = 0.01", "lower still"), change("WIDTH = 48", "WIDTH = 24")]
    with model(steps) as it:
        lab.night("--agent", AGENT, "--experiments", "5", env=it.env())
    assert [e["status"] for e in lab.is_sound(5)] == ["keep", "discard", "keep", "keep", "discard"]
    again = it.told(3).split("# Worth another look")[1].split("\n# ")[0]
    assert "a touch less warm-up" in again and "has moved on 2 times since" in again
    assert "Worth another look" not in it.told(2)
    # On other terms everything may be different.
    with model([change("WIDTH = 48", "WIDTH = 64")]) as it:
        lab.night("--agent", AGENT, "--experiments", "2", "--budget", "20s", env=it.env())
    assert "judged on other terms" in it.told(0)


def test_hooks_steer_the_next_proposal(lab: Lab) -> None:
    seen = lab.place.path / "seen"
    lab.write("tools/before.py", f"""
        import json, sys
        brief = json.load(sys.stdin)
        print("mind experiment", brief["number"])
        open({str(seen)!r}, "a").write(f"before {{brief['number']}}\\n")
        """)
    lab.write("tools/after.py", f"""
        import json, sys
        record = json.load(sys.stdin)
        print("the last one was a", record["status"])
        open({str(seen)!r}, "a").write(f"after {{record['number']}}\\n")
        sys.exit(3 if record["number"] == 2 else 0)
        """)
    lab.program(hooks={"before": "python3 tools/before.py", "after": "python3 tools/after.py"}, ahead=False)
    lab.commit()
    with model([BETTER, warmup(0.05), warmup(0.03)]) as it:
        lab.night("--agent", AGENT, "--experiments", "4", env=it.env())
    assert seen.read_text().split("\n")[:4] == ["after 0", "before 1", "after 1", "before 2"]
    assert "mind experiment 1" in it.told(0) and "the last one was a keep" in it.told(0)
    # One that fails stops nothing, and says nothing.
    assert "mind experiment 3" in it.told(2) and "the last one was a keep" in it.told(2)
    lab.is_sound(4)
    assert lab.git("status", "--porcelain") == ""


def test_a_command_line_has_placeholders(lab: Lab) -> None:
    seen = lab.place.path / "seen.json"
    agent = lab.proposer(f"""
        import json, sys
        name, brief, file, number, prompt = sys.argv
        open({str(seen)!r}, "w").write(json.dumps([open(brief).read(), file, number, prompt]))
        text = open(file).read()
        open(file, "w").write(text.replace("LR = 0.04", "LR = 0.02"))
        print(json.dumps({{"hypothesis": "half the rate", "ideas": ["a quarter"]}}))
        """)
    lab.night("--experiments", "2", "--agent", agent + " %{brief} %{editable} %{number} %{prompt}")
    page, file, number, prompt = json.loads(seen.read_text())
    assert page.startswith("# The researcher's program") and page in prompt
    assert (file, number) == ("train.py", "1")
    assert lab.is_sound(2)[1]["hypothesis"] == "half the rate"
    assert [idea["text"] for idea in lab.json("plan")["ideas"]] == ["a quarter"]
    assert "there is no `%{brif}`" in lab.overnight("loop", "start", "--agent", "command:x %{brif}", code=3).err


def test_what_is_said_is_known_by_author_and_cell(lab: Lab) -> None:
    lab.night("--experiments", "1")
    lab.overnight("loop", "steer", "leave the width alone")
    with kernel(lab) as k:
        k.execute("%best")
        assert "the next to be tried" in k.execute("%hypothesis halve the rate --now").text
        assert "ruled out" in k.execute("%loop veto dropout").text
        plan = k.execute("%plan")
        assert "halve the rate" in plan.text and "dropout" in plan.data[-1]["text/html"]
    query = "SELECT author, event, text, detail FROM events WHERE event IN ('steered', 'idea', 'vetoed') ORDER BY at"
    rows = lab.json("sql", query)
    said = {row["event"]: (row["author"], row["text"], json.loads(row["detail"]).get("cell")) for row in rows}
    assert said == {
        "steered": ("Ada Lovelace", "leave the width alone", None),
        "idea": ("Ada Lovelace", "halve the rate", 2),
        "vetoed": ("Ada Lovelace", "dropout", 3),
    }
    assert "leave the width alone" in lab.overnight("brief").out
