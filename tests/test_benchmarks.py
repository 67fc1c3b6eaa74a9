"""The benchmarks run and say what they measured. Nothing is timed here: the figures of a smoke run mean nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import chart, table
from benchmarks.measuring import Row, Target, Work, compare, interleave

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "full.json"
PAGE = ROOT / "docs" / "explanation" / "performance.md"


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks", *arguments]
    # On its own database in memory: the suite's has its tables under another name.
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "CACHE_URL")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def row(**changed):
    fields = {"part": "p", "work": "ours < theirs", "value": 1.5, "unit": "x", "low": 1.4, "high": 1.6}
    return Row(**fields | changed).as_dict()


def test_command__measures_every_row_and_prints_json(tmp_path):
    result = json.loads(run("--smoke", "--json", "--output", str(tmp_path / "result.json")))
    assert result == json.loads((tmp_path / "result.json").read_text())
    assert result["size"] == "smoke"
    assert {"cpu", "cores", "load", "versions"} <= result["machine"].keys()
    assert {row["part"] for row in result["rows"]} == {"bare process", "server process", "batch"}
    published = json.loads(RESULT.read_text())["rows"]
    targets = {row["target"] for row in result["rows"]} - {None}
    assert {
        row["target"] for row in published if row["part"] in ("bare process", "server process", "batch")
    } >= targets
    [queries] = [row for row in result["rows"] if "SQL queries" in row["work"]]
    assert queries["value"] == 0
    for work in ("audit lines", "signals"):
        [once] = [row for row in result["rows"] if work in row["work"]]
        assert once["value"] == 1


def test_page_and_chart__are_those_of_the_published_run(tmp_path):
    published = json.loads(RESULT.read_text())
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text())
    table.write_into(page, published)
    assert page.read_text() == PAGE.read_text()
    assert chart.draw(published["rows"]) == PAGE.with_suffix(".svg").read_text()


def test_command__shows_a_run_again():
    shown = run("--read", str(RESULT))
    assert "bare process: official Python signer / sign, level 6" in shown


def test_compare__pairs_the_rounds():
    found = compare("p", "w", {"a": [2, 20, 200], "b": [1, 10, 100]}, "a", "b", Target(1.9))
    assert (found.value, found.low, found.high) == (2, 2, 2)
    assert found.as_dict()["met"] is False
    assert found.details == {
        "a": {"min": 2, "median": 20, "unit": "µs"},
        "b": {"min": 1, "median": 10, "unit": "µs"},
    }


def test_interleave__by_turns_and_backwards():
    calls = []
    times = interleave({name: Work(calls.append, [name]) for name in "ab"}, rounds=2, calls=2)
    assert calls == [*"bbaa", *"aabb", *"bbaa"]
    assert {name: len(found) for name, found in times.items()} == {"a": 2, "b": 2}


@pytest.mark.parametrize(
    ("target", "met", "missed"), [(Target(3, least=True), 3, 2.9), (Target(1.3), 1.3, 1.31)], ids=str
)
def test_target__includes_its_limit(target, met, missed):
    assert row(value=met, target=target)["met"] is True
    assert row(value=missed, target=target)["met"] is False
    assert row(value=None, target=target)["met"] is None


def test_chart__is_well_formed():
    rows = [row(target=Target(1.3)), row(target=Target(1, least=True)), row(), row(unit="MB", target=Target(9))]
    svg = ET.fromstring(chart.draw(rows))
    bars = [bar.get("class") for bar in svg.iter("{http://www.w3.org/2000/svg}rect") if bar.get("class") != "track"]
    assert bars == ["missed", "met"]
