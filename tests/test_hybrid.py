"""`search+MODEL`: the real binary, and a scripted model that is asked for three of ten experiments."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from labs import Lab
from models import Answer, Model, Refusal, change, model
from places import until

MODEL = "anthropic:claude-opus-5"
AGENT = f"search+{MODEL}"
#: With the usual seed, once six trials are known.
TURNS = [8, 12, 15, 18]
SPACE = {"LR": "1e-3..1e-1 log", "WIDTH": "16..256", "WARMUP": "0.0..1.0"}


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    """One in which every experiment is known before the next is proposed."""
    return make_lab(ahead=False, space=SPACE)


def night(lab: Lab, it: Model, *args: str, agent: str = AGENT, code: int = 0) -> list[dict]:
    """A loop with the scripted model; what is in the ledger afterwards."""
    lab.night("--agent", agent, *args, code=code, env=it.env())
    return lab.is_sound()


def settings(*values: str) -> str:
    """An answer that gives constants values."""
    return "HYPOTHESIS: what the table suggests\n" + "".join(f"SET {value}\n" for value in values)


def turns(found: list[dict]) -> list[int]:
    """The experiments that the model made."""
    return [e["number"] for e in found if e["proposer"] == MODEL]


def shown(lab: Lab, experiment: dict) -> str:
    """Its file."""
    return lab.git("show", f"{experiment['candidate']}:train.py")


def test_the_model_has_three_of_ten_and_is_told_what_the_optimizer_knows(lab: Lab) -> None:
    with model(lambda _: settings(f"LR = 0.01{len(it.asked)}", "WIDTH = 96")) as it:
        found = night(lab, it, "--experiments", "19")
    assert turns(found) == TURNS and len(it.asked) == len(TURNS)
    assert {e["proposer"] for e in found} == {"baseline", "search", MODEL}
    query = "SELECT proposer, count(*) AS n, sum(usd) AS usd FROM experiments GROUP BY proposer"
    rows = {row["proposer"]: row for row in lab.json("sql", query)}
    assert rows[MODEL]["n"] == 4 and rows[MODEL]["usd"] == pytest.approx(0.04) and rows["search"]["usd"] == 0
    for number, told in zip(TURNS, map(it.told, range(len(TURNS))), strict=True):
        assert f"Propose experiment {number}." in told and "Explore the learning rate first." in told
        assert "may be | length\nLR | " in told and "0.001 to 0.1, by its logarithm" in told and "WIDTH | " in told
        assert re.search(r"It expects [0-9.]+ ± [0-9.e-]+ of it\.\n```data\n.* → ", told)
        for title, least, most in [("The best trials", min(number, 5), 5), ("The latest trials", number, 20)]:
            rows_of = re.findall(r"^\d+ \| .*$", told.split(title)[1].split("## ")[0].split("# Your turn")[0], re.M)
            assert min(least, most) == len(rows_of), title
    first = found[TURNS[0]]
    assert first["hypothesis"] == "what the table suggests" and first["cost"]["output_tokens"] == 200
    assert "LR = 0.011\nWIDTH = 96\n" in shown(lab, first)


def test_the_same_seed_makes_the_same_choices_after_a_restart(make_lab: Callable[..., Lab]) -> None:
    nights = []
    for name, parts in [("whole", ["13"]), ("cut", ["9", "4"])]:
        lab = make_lab(name, ahead=False, space=SPACE)
        with model(lambda _: settings(f"LR = 0.01{len(it.asked)}")) as it:
            for part in parts:
                found = night(lab, it, "--experiments", part)
        nights.append([(e["proposer"], e["hypothesis"], e["value"]) for e in found])
    assert nights[0] == nights[1] and [n for n, night in enumerate(nights[0]) if night[0] == MODEL] == TURNS[:2]
    lab = make_lab("other", ahead=False, space=SPACE)
    with model(lambda _: settings("LR = 0.0123")) as it:
        local = f"openai:qwen3@{it.url}/v1"
        found = night(lab, it, "--experiments", "10", "--seed", "43", agent=f"search+{local}")
    assert [e["number"] for e in found if e["proposer"] == local] == [7]


@pytest.mark.parametrize(("wrong", "why"), [
    (settings("LR = 0.5"), "`SET LR = 0.5`: it may be 0.001 to 0.1, by its logarithm"),
    (settings("DEPTH = 4"), "there is no such parameter; there are LR, WIDTH, WARMUP"),
    (settings("LR = 0.04", "WIDTH = 48", "WARMUP = 0.10"), "these values have been tried"),
    (settings("LR = 0.02") + "FILE: train.py\n```\nLR = 0.02\n```\n", "answer with one of them"),
])
def test_a_value_that_cannot_be_is_mended_once(lab: Lab, wrong: str, why: str) -> None:
    with model([wrong, settings("LR = 0.0123")]) as it:
        found = night(lab, it, "--experiments", "9")
    assert "Your answer cannot be used: " in it.told(1) and why in it.told(1)
    assert turns(found) == [8] and "LR = 0.0123\n" in shown(lab, found[8])
    assert found[8]["cost"]["output_tokens"] == 400, "both answers are paid for"


def test_a_model_may_change_more_than_constants(lab: Lab) -> None:
    with model([change("import math", "import math, sys", "a new import"),
                change("import math", "import meth", "a typo"), change("import meth", "import math, os")]) as it:
        found = night(lab, it, "--experiments", "14")
    assert turns(found) == TURNS[:2] and len(it.asked) == 3
    assert found[8]["hypothesis"] == "a new import" and "import math, sys\n" in shown(lab, found[8])
    assert "mended once" in found[12]["reason"] and "import math, os\n" in shown(lab, found[12])
    told = it.told(1).split("The latest trials")[1].split("# Your turn")[0]
    assert not re.search(r"^8 \|", told, re.M), "what changed more is no trial of the optimizer"
    assert re.search(r"^9 \|", told, re.M)


def test_what_fails_by_its_values_is_for_the_optimizer_to_know(lab: Lab) -> None:
    lab.program(ahead=False, space=SPACE, crashes=99)
    text = (lab.root / "train.py").read_text()
    lab.write("train.py", text.replace("WARMUP = 0.10\n", "WARMUP = 0.10\nassert WIDTH < 60\n"))
    lab.commit()
    with model(lambda _: settings(f"LR = 0.01{len(it.asked)}", "WIDTH = 40")) as it:
        found = night(lab, it, "--experiments", "14")
    assert any(e["status"] == "crash" for e in found if e["proposer"] == "search")
    assert len(it.asked) == 2, "no model is asked to mend them"
    assert "| failed" in it.told(1)


@pytest.mark.parametrize(("trouble", "why"), [
    (Refusal(400, "no such model"), "no such model"),
    ("I would rather talk about the weather.", "no line that begins with `HYPOTHESIS:`"),
    ("GIVE UP", "gives up"),
])
def test_a_model_that_fails_leaves_the_experiment_to_search(lab: Lab, trouble: Answer, why: str) -> None:
    with model(lambda _: trouble) as it:
        found = night(lab, it, "--experiments", "19")
    assert len(found) == 19 and not turns(found)
    for number in TURNS:
        assert found[number]["proposer"] == "search" and "search alone: " in found[number]["reason"]
        assert why in found[number]["reason"]
    per_turn = {"no such model": 0, "gives up": 200}.get(why, 400)
    assert sum(e["cost"]["output_tokens"] for e in found) == per_turn * len(TURNS)


def test_when_the_money_is_over_search_goes_on_alone(lab: Lab) -> None:
    """A question costs 0.01 here, and could cost 0.4 and more by its longest answer."""
    with model(lambda _: settings(f"LR = 0.01{len(it.asked)}")) as it:
        found = night(lab, it, "--experiments", "24", "--max-cost", "0.44")
    assert 1 <= len(it.asked) < 5 and len(turns(found)) == len(it.asked)
    assert sum(e["cost"]["usd"] for e in found) == pytest.approx(0.01 * len(it.asked))
    last = found[22]
    assert last["proposer"] == "search" and "is left of what proposing may cost" in last["reason"]


def test_a_wrong_key_pauses_the_loop(lab: Lab) -> None:
    with model(lambda _: Refusal(401, "invalid x-api-key")) as it:
        lab.overnight("loop", "start", "--agent", AGENT, "--experiments", "12", env=it.env())
        status = until(lambda: (s := lab.status())["state"] == "paused" and s, "the loop pauses")
        assert "ANTHROPIC_API_KEY" in status["problem"]
        lab.overnight("loop", "stop")
        lab.overnight("loop", "wait", code=None)
    assert len(lab.is_sound()) == 8


def test_what_cannot_begin_is_said(lab: Lab) -> None:
    refused = lab.overnight("loop", "start", "--agent", "search+mistral", code=3).err
    assert "mistral" in refused
    lab.program(space={name: "fixed" for name in SPACE})
    lab.commit()
    with model([]) as it:
        refused = lab.overnight("loop", "start", "--agent", AGENT, code=3, env=it.env()).err
    assert "there is no constant to search over" in refused and not lab.events()
