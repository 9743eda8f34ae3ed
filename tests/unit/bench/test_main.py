"""The bench's command line: which parts are measured, and what is kept when it is stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import usage
from tests.bench.setting import Setting


def well(setting: Setting) -> None:
    setting.row("a figure", "1 s")


def stopped(setting: Setting) -> None:
    setting.row("before Ctrl-C", "2 s")
    raise KeyboardInterrupt


def broken(_setting: Setting) -> None:
    raise SystemExit("Nothing answers.")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parts that measure nothing real, and a file of the test's own."""
    file = tmp_path / "bench.json"
    monkeypatch.setattr(bench, "FILE", file)
    parts = {"sandbox": (well, ""), "compose": (stopped, ""), "class": (broken, "")}
    monkeypatch.setattr(bench, "PARTS", parts)
    monkeypatch.setattr(usage, "others", lambda: 0.0)
    return file


def rows(file: Path) -> list[tuple[str, str]]:
    told = json.loads(file.read_text("utf-8"))
    return [(row["part"], row["measured"]) for row in told["rows"]]


def test_what_was_measured_before_ctrl_c_is_kept(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["--only", "sandbox", "--only", "compose", "--only", "class"]) == 130
    assert rows(kept) == [("sandbox", "a figure"), ("compose", "before Ctrl-C")]
    assert "Stopped. 2 rows in " in capsys.readouterr().err


def test_a_busy_machine_is_told_and_recorded(
    kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(usage, "others", lambda: 1.5)
    assert bench.main(["--only", "sandbox"]) == 0
    assert "not quiet: 1.5 processors" in capsys.readouterr().err
    assert json.loads(kept.read_text("utf-8"))["busy_processors"] == 1.5


def test_a_part_that_fails_does_not_end_the_others(
    kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "PARTS", {"class": (broken, ""), "sandbox": (well, "")})
    assert bench.main([]) == 1
    assert rows(kept) == [("sandbox", "a figure")]
    assert "class was not measured: Nothing answers." in capsys.readouterr().err


def test_without_options_what_takes_long_is_left_out() -> None:
    args = bench.arguments([])
    assert args.parts == [
        *("sandbox", "compose", "swarm", "recorder", "typed", "unchanged", "small", "class")
    ]


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["--only", "class", "--only", "sandbox"], ["sandbox", "class"]),
        (["--profile"], ["profile"]),
        (["--growth", "--only", "first-run"], ["first-run", "growth"]),
        (["--machines"], ["machines"]),
    ],
)
def test_parts_are_measured_in_their_order(argv: list[str], parts: list[str]) -> None:
    assert bench.arguments(argv).parts == parts


@pytest.mark.parametrize(
    "argv", [["--only", "nothing"], ["--students", "0"], ["--profile", "--against", "."]]
)
def test_what_cannot_be_is_refused(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        bench.arguments(argv)
    assert refused.value.code == 2


def test_a_checkout_that_is_none_is_refused_before_anything_is_measured(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["--only", "class", "--against", str(tmp_path)]) == 2
    assert "This is not a checkout of the kit." in capsys.readouterr().err
    assert not kept.exists()
