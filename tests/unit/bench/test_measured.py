"""Figures are printed and kept the moment they are measured."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.bench import measured
from tests.bench.measured import Report, Row


def test_each_row_is_printed_and_in_the_file_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report(tmp_path / "bench.json", measured.facts())
    for count, name in enumerate(("one node", "three nodes"), start=1):
        report.add(Row("sandbox", name, "1.6 s", "3.5 s"))
        told = json.loads((tmp_path / "bench.json").read_text("utf-8"))
        assert len(told["rows"]) == count
        assert told["rows"][-1]["measured"] == name
        assert f"| {name} " in capsys.readouterr().out


def test_the_file_says_where_and_when_and_with_which_kit(tmp_path: Path) -> None:
    report = Report(tmp_path / "bench.json", measured.facts())
    report.facts["machine"]["engine"] = "20.10, embedded"
    report.add(Row("growth", "20", values={"s each": 2.5}))
    told = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    assert told.keys() == {"date", "commit", "machine", "rows"}
    assert told["machine"].keys() == {"cores", "memory_gib", "kernel", "python", "engine"}
    assert told["machine"]["engine"] == "20.10, embedded"
    assert told["rows"] == [
        {"part": "growth", "measured": "20", "figure": "", "goal": "", "values": {"s each": 2.5}}
    ]


def test_rows_are_tables_in_markdown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(tmp_path / "bench.json", {})
    report.add(Row("sandbox", "one", "1.6 s"))
    report.add(Row("sandbox", "three", "2.2 s", "3.5 s"))
    report.add(Row("profile", "compose: deploy", values={"wall s": 12.345, "waiting s": 0.5}))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "",
        "| sandbox | figure | goal |",
        "|---|---|---|",
        "| one | 1.6 s | |",
        "| three | 2.2 s | 3.5 s |",
        "",
        "| profile | wall s | waiting s |",
        "|---|---|---|",
        "| compose: deploy | 12.3 | 0.50 |",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.054, "0.05"), (9.5, "9.50"), (12.34, "12.3"), (1234.5, "1234"), (-0.001, "0.00")],
)
def test_a_number_has_the_decimals_that_say_something(value: float, shown: str) -> None:
    assert measured.number(value) == shown


def test_the_commit_says_whether_files_differ(tmp_path: Path) -> None:
    assert measured.commit(tmp_path) == ""

    def git(*words: str) -> None:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, capture_output=True)

    git("init")
    git("commit", "--allow-empty", "--message", "first")
    first = measured.commit(tmp_path)
    assert len(first) == 40
    (tmp_path / "new").touch()
    assert measured.commit(tmp_path) == f"{first} (changed)"
