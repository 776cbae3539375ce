"""The charts of a real lab: each is valid Vega-Lite 5 by its own schema, has its picture, and says what it shows."""

from __future__ import annotations

import base64
import json
from functools import cache
from importlib.resources import files
from typing import Any

import nbformat
import pytest
from jsonschema import Draft7Validator

from browsers import CHROMIUM, jupyterlab, notebook
from kernels import book, kernel
from labs import Lab
from places import until

CHARTS = [
    ["progress"],
    ["curves", "0", "best", "latest"],
    ["compare", "0", "best"],
    ["pareto", "val_bpb", "peak_vram_mb"],
    ["pareto", "val_bpb", "seconds", "--minimize", "seconds"],
    ["parameters"],
    ["timeline"],
    ["lineage"],
    ["noise"],
]


@cache
def schema() -> Draft7Validator:
    """Vega-Lite's own schema of version 5, which altair carries."""
    file = files("altair") / "vegalite/v5/schema/vega-lite-schema.json"
    return Draft7Validator(json.loads(file.read_text()))


def valid(spec: Any) -> None:
    assert spec["$schema"] == "https://vega.github.io/schema/vega-lite/v5.json"
    for error in schema().iter_errors(spec):
        # What no alternative allows is told by the one that came nearest.
        nearest = min(error.context or [error], key=lambda one: -len(one.absolute_path))
        pytest.fail(f"{list(nearest.absolute_path)}: {nearest.message[:500]}")


def chart(lab: Lab, *args: str) -> Any:
    return lab.json("plot", *args)["chart"]


def layers(spec: Any) -> list[Any]:
    """The layers of every view."""
    views = [view for row in spec.get("vconcat", []) for view in row["hconcat"]] or [spec]
    return [layer for view in views for layer in view["layer"]]


@pytest.fixture
def night(lab: Lab) -> Lab:
    lab.overnight("loop", "start", "--wait", "--experiments", "12", "--seed", "3")
    return lab


def test_every_chart_is_valid(night: Lab) -> None:
    for args in CHARTS:
        spec = chart(night, *args)
        valid(spec)
        text = night.overnight("plot", *args).out
        assert len(text.splitlines()) > 1, f"{args} says more than its title: {text}"
        for layer in layers(spec):
            rows = layer["data"]["values"]
            named = [channel for channel in layer.get("encoding", {}).values() if isinstance(channel, dict)]
            for field in [channel["field"] for channel in named if "field" in channel]:
                assert any(field in row for row in rows), f"{args}: no {field}"
    assert "12 experiments" in night.overnight("plot", "timeline").out


def test_charts_of_a_lab_without_experiments(lab: Lab) -> None:
    for kind in ["progress", "parameters", "timeline", "lineage", "noise"]:
        valid(chart(lab, kind))
    assert "No experiment has both" in lab.overnight("plot", "pareto").out


def test_the_front_is_of_the_columns_that_are_named(night: Lab) -> None:
    spec = chart(night, "pareto", "val_bpb", "number", "--minimize", "number")
    front = {row["x"]: row["y"] for layer in layers(spec) for row in layer["data"]["values"] if row.get("kind") == "front"}
    values = [(e["value"], e["number"]) for e in night.json("experiments")["experiments"] if e["value"] is not None]
    expected = {v: n for v, n in values if not any(w <= v and m <= n and (w, m) != (v, n) for w, m in values)}
    assert front == pytest.approx(expected)
    unknown = night.overnight("plot", "pareto", "val_bpb", "nothing", code=2)
    assert "no column `nothing`" in unknown.err and "peak_vram_mb" in unknown.err
    undecided = night.overnight("plot", "pareto", "val_bpb", "depth", code=2)
    assert "--maximize depth" in undecided.err
    assert "assumed" in json.dumps(chart(night, "pareto", "val_bpb", "peak_vram_mb"))


def test_a_comparison_tells_which_constants_differ(night: Lab) -> None:
    def constants(number: int) -> dict[str, str]:
        query = f"SELECT name, setting FROM constants WHERE experiment = {number}"
        return {row["name"]: row["setting"] for row in night.json("sql", query)}

    best = night.json("experiment", "best")["experiment"]["number"]
    first, last = constants(0), constants(best)
    text = night.overnight("plot", "compare", "0", "best").out
    told = {line.strip() for line in text.splitlines() if line.startswith("  ")}
    assert told == {f"{name} {first[name]} → {last[name]}" for name in first if first[name] != last[name]}
    assert "difference" in text


def test_noise_that_nobody_measured_says_so(night: Lab) -> None:
    text = night.overnight("plot", "noise").out
    assert "not known" in text and "loop rehearse" in text


def test_words_that_a_chart_does_not_take(night: Lab) -> None:
    assert "takes" in night.overnight("plot", "progress", "3", code=2).err
    assert "best" in night.overnight("plot", "curves", "banana", code=2).err
    assert "plot pareto" in night.overnight("plot", "pareto", "val_bpb", code=2).err


def test_a_clone_has_what_the_records_say(night: Lab) -> None:
    clone = night.place.path / "clone"
    night.git("clone", "--quiet", str(night.root), str(clone))
    night.git("-C", str(clone), "fetch", "--quiet", "origin", "refs/overnight/*:refs/overnight/*")
    text = night.overnight("plot", "timeline", cwd=clone).out
    assert "from the records alone" in text


def test_each_line_of_research_has_its_charts(night: Lab) -> None:
    night.overnight("loop", "start", "--wait", "--experiments", "3", "--seed", "3", "--tag", "second")
    assert "2 experiments" in night.overnight("plot", "progress", "--tag", "second").out
    assert "11 experiments" in night.overnight("plot", "progress", "--tag", "main").out
    for kind in ["parameters", "timeline", "lineage", "noise"]:
        valid(chart(night, kind, "--tag", "second"))
    assert "3 experiments" in night.overnight("plot", "timeline", "--tag", "second").out


def test_a_notebook_has_picture_and_chart(night: Lab) -> None:
    with kernel(night) as k:
        for args in CHARTS:
            cell = k.execute("%plot " + " ".join(args))
            assert cell.status == "ok", cell.text
            [shown] = cell.data
            assert base64.b64decode(shown["image/png"]).startswith(b"\x89PNG"), args
            valid(shown["application/vnd.vegalite.v5+json"])


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (Debian: apt install chromium)")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_chart_is_drawn(night: Lab, dark: bool) -> None:
    """By Vega, large enough to be read, and with nothing to complain of; pictures are left for people to look at."""
    nbformat.write(book(*("%plot " + " ".join(args) for args in CHARTS)), night.root / "charts.ipynb")
    theme = "dark" if dark else "light"
    with jupyterlab(night, dark=dark) as address, notebook(address, "charts.ipynb", height=1100, dark=dark) as page:
        said: list[str] = []
        page.page.on("console", lambda message: said.append(message.text) if "vega" in message.text.lower() else None)
        page.run_all()
        for index, args in enumerate(CHARTS):
            drawn = page.cell(index).locator(".vega-embed canvas, .vega-embed svg.marks").first
            drawn.wait_for()
            box = drawn.bounding_box()
            assert box and box["width"] > 300 and box["height"] > 150, (args, box)
            page.picture(index, f"plot-{index}-{args[0]}-{theme}")
        until(lambda: page.errors().count() == 0, "no chart fails")
        assert said == []
