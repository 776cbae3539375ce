"""Rust cells with polars and the lab's frames in scope, through the protocol."""

from __future__ import annotations

import queue
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kernels import Cell, Kernel, kernel
from labs import Lab
from places import until

# A cell of the first kernel waits until rust-analyzer has read polars.
SLOW = 300


@pytest.fixture
def k(lab: Lab) -> Iterator[Kernel]:
    """A kernel on a lab with three experiments."""
    lab.night("--experiments", "3", "--seed", "1")
    with kernel(lab) as k:
        yield k


def ok(k: Kernel, code: str) -> Cell:
    """Runs a cell that must succeed."""
    cell = k.execute(code, timeout=SLOW)
    assert cell.status == "ok", (code, cell.text, cell.reply)
    return cell


def test_frames_charts_and_sql(k: Kernel, lab: Lab) -> None:
    cell = ok(k, 'let e = experiments()?;\ne.clone().lazy().filter(col("status").eq(lit("keep")))'
                 '.sort(["value"], Default::default()).collect()?')
    assert cell.mimes == {"text/plain", "text/html"}
    html = cell.data[0]["text/html"]
    assert "hypothesis" in html and "<table" in html and "× " in html
    assert "3 rows" in ok(k, "e").data[0]["text/plain"]

    cell = ok(k, 'let m = metrics(0)?;\nplot(&m).line("step", "loss").title("exp 0")')
    assert {"application/vnd.vegalite.v5+json", "image/png"} <= cell.mimes
    assert cell.data[0]["application/vnd.vegalite.v5+json"]["title"]["text"] == "exp 0"
    assert "diff --git" in ok(k, "diff(0, 1)?").data[0]["text/plain"]
    assert "3 rows" in ok(k, "runs()?").data[0]["text/plain"]

    # SQL finds what Rust has named, and Rust what SQL has.
    ok(k, 'export("mine", &e.head(Some(2)))?;')
    assert "2 rows" in k.execute("%sql SELECT number FROM mine").text
    assert k.execute("%%sql --save worst\nSELECT max(value) AS value FROM experiments").status == "ok"
    assert "1 row" in ok(k, 'frame("worst")?').text
    failed = k.execute('frame("nothing")?', timeout=SLOW)
    assert failed.status == "error" and "--save nothing" in failed.text
    failed = k.execute("metrics(99)?", timeout=SLOW)
    assert failed.status == "error" and "no experiment 99" in failed.text


def test_what_a_cell_shows(k: Kernel) -> None:
    cell = ok(k, 'show(&1);\nprintln!("between");\nmarkdown("**two**");\nhtml("<i>three</i>");\n"four"')
    shown = [message["content"]["data"] for message in cell.messages
             if message["msg_type"] in ("display_data", "execute_result")]
    assert shown == [{"text/plain": "1"}, {"text/markdown": "**two**"}, {"text/html": "<i>three</i>"},
                     {"text/plain": '"four"'}]
    # In their order; a cell that takes long to compile says so first.
    told = [message["content"] for message in cell.messages if message["msg_type"] in ("stream", "execute_result")]
    between = next(at for at, content in enumerate(told) if "between" in content.get("text", ""))
    assert "data" in told[between - 1] and "data" in told[between + 1], told
    assert ok(k, "()").data == []
    assert ok(k, 'png(b"\\x89PNG");').data == [{"image/png": "iVBORw=="}]
    ok(k, ":fmt {:#?}")
    assert ok(k, "vec![1]").data[-1]["text/plain"] == "[\n    1,\n]"


def test_the_types_of_variables_are_found(k: Kernel) -> None:
    ok(k, '''
        let frame = df!("a" => [1i64, 2], "b" => ["x", "y"])?;
        let joined = frame.join(&frame, ["a"], ["a"], JoinArgs::new(JoinType::Inner), None)?;
        let query = joined.clone().lazy().filter(col("a").gt(lit(1)));
        let column = joined.column("a")?.clone();
        let total = column.as_materialized_series().i64()?.sum();
        let words: Vec<_> = joined.column("b")?.str()?.iter().flatten().map(str::to_owned).collect();
        let by_word = words.iter().cloned().zip(0..).collect::<std::collections::BTreeMap<_, i32>>();
        let drawn = plot(&joined).line("a", "a");
    ''')
    said = ok(k, ":vars").text
    for name, kind in {"frame": "DataFrame", "joined": "DataFrame", "query": "LazyFrame", "column": "Column",
                       "total": "Option<i64>", "words": "Vec<String>", "drawn": "Plot",
                       "by_word": "BTreeMap<String, i32>"}.items():
        assert re.search(rf"^{name}: .*{re.escape(kind)}$", said, re.MULTILINE), said


def test_input_is_asked_for(k: Kernel) -> None:
    answers = iter(["Ada", "hush"])
    asked = []

    def answer(message: dict[str, Any]) -> str:
        asked.append((message["content"]["prompt"], message["content"]["password"]))
        return next(answers)

    cell = ok_asking(k, 'let name = input("your name")?;\nlet word = password("and a word")?;\nformat!("{name}{word}")',
                     answer)
    assert cell.data[-1]["text/plain"] == '"Adahush"'
    assert asked == [("your name", False), ("and a word", True)]
    # Code that reads standard input, as any Rust program does.
    answers, asked[:] = iter(["Grace"]), []
    cell = ok_asking(k, 'println!("who?");\nlet mut line = String::new();\nstd::io::stdin().read_line(&mut line)?;\n'
                        'line.trim().to_owned()', answer)
    assert cell.data[-1]["text/plain"] == '"Grace"' and len(asked) == 1


def ok_asking(k: Kernel, code: str, answer: Callable[[dict[str, Any]], str]) -> Cell:
    """Runs a cell whose questions are answered."""
    request = k.send(code, allow_stdin=True)
    while True:
        try:
            message = k.client.get_stdin_msg(timeout=0.2)
        except queue.Empty:
            if k.client.shell_channel.msg_ready():
                break
            continue
        k.client.input(answer(message))
    cell = k.collect(request, SLOW)
    assert cell.status == "ok", cell.reply
    return cell


def test_an_interrupt_keeps_variables(k: Kernel) -> None:
    ok(k, "let kept = 42;")
    request = k.send('println!("on");\nlet mut n = 0u64;\nloop { n += 1; }')
    k.wait_published("stream", lambda content: "on" in content["text"], SLOW)
    k.interrupt()
    reply = ended(k, request)
    assert reply["ename"] == "Interrupted" and "Kept: kept" in "\n".join(reply["traceback"]), reply
    assert ok(k, "kept").data[0]["text/plain"] == "42"
    # The flag of an interrupt that came too late is not the next cell's.
    assert ok(k, "let mut n = 0; for i in 0..10 { n += i; } n").data[0]["text/plain"] == "45"

    # What no loop of its own sees is killed, and the names of what is lost are told.
    request = k.send('println!("off");\nstd::thread::sleep(std::time::Duration::from_secs(1000));')
    k.wait_published("stream", lambda content: "off" in content["text"], SLOW)
    k.interrupt()
    reply = ended(k, request)
    assert "Lost with its process: kept" in "\n".join(reply["traceback"]), reply
    assert ok(k, "1 + 1").data[0]["text/plain"] == "2"
    assert "3 rows" in ok(k, "experiments()?").text

    # The process that took the place of the killed one listens as well.
    ok(k, "let anew = 43;")
    request = k.send('println!("again");\nlet mut n = 0u64;\nloop { n += 1; }')
    k.wait_published("stream", lambda content: "again" in content["text"], SLOW)
    k.interrupt()
    reply = ended(k, request)
    assert "Kept: anew" in "\n".join(reply["traceback"]), reply


def ended(k: Kernel, request: str) -> dict[str, Any]:
    """The content of the reply to a cell that was interrupted."""
    return k.reply(k.client.get_shell_msg, request, time.monotonic() + SLOW)["content"]


def test_sql_writes_draws_and_turns_pages(k: Kernel, lab: Lab) -> None:
    cell = k.execute("%%sql --chart steps number value status\nSELECT * FROM experiments")
    assert {"application/vnd.vegalite.v5+json", "image/png"} <= cell.mimes
    for form in ("csv", "parquet", "arrow"):
        assert "3 rows written" in k.execute(f"%%sql --to {form} out.{form}\nSELECT number FROM experiments").text
    assert (lab.root / "out.csv").read_text() == "number\n0\n1\n2\n"
    assert "rows 3 to 3" in k.execute("%%sql --rows 2 --page 2\nSELECT number FROM experiments").text
    cell = k.execute("%%sql\nSELECT number\nFROM experimets")
    assert cell.status == "error" and "2 | FROM experimets\n  |      ^" in cell.text
    assert "did you mean `experiments`" in cell.text
    assert k.execute("%%sql --chart pie number value\nSELECT 1").status == "error"
    assert k.execute("%%sql --to xls out.xls\nSELECT 1").status == "error"
    assert "experiments: 3 rows written" in lab.overnight("export", "night", "--to", "parquet").text
    assert sorted(path.name for path in (lab.root / "night").iterdir()) == [
        "events.parquet", "experiments.parquet", "metrics.parquet", "runs.parquet"]


def test_rust_is_completed_and_explained(k: Kernel) -> None:
    ok(k, "let frame = experiments()?;")
    # The first answer takes rust-analyzer longer than anyone waits at a keyboard.
    code = "frame.heig"
    found = until(lambda: k.ask("complete", code, len(code))["matches"], "rust-analyzer knows the frame", SLOW)
    assert any(match.startswith("height") for match in found), found
    code = "DataFrame::height"
    told = until(lambda: k.ask("inspect", code, len(code))["data"], "rust-analyzer knows the method", SLOW)
    assert "height" in told["text/plain"]


def test_evcxrs_commands_work(k: Kernel) -> None:
    ok(k, "let x: u8 = 7;")
    assert "x" in ok(k, ":vars").text
    assert "u8" in ok(k, ":type x").text
    assert ":dep" in ok(k, ":help").text
    ok(k, ":opt 0")
    assert ok(k, "x").data[0]["text/plain"] == "7"
    ok(k, ":clear")
    assert k.execute("x", timeout=SLOW).status == "error"
    assert "3 rows" in ok(k, "experiments()?").text, "the prelude is there after :clear"
