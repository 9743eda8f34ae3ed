"""Where the kit's own engine keeps its state."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader import cli


@pytest.mark.parametrize("action", ["start", "stop"])
def test_a_data_directory_that_is_a_file_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    action: str,
) -> None:
    file = tmp_path / "home"
    file.write_text("mine", encoding="utf-8")
    monkeypatch.setenv("DRYDOCK_HOME", str(file))
    assert cli.main(["engine", action]) in (2, 3)
    told = capsys.readouterr().err
    assert str(file) in told
    assert "DRYDOCK_HOME" in told
    assert file.read_text(encoding="utf-8") == "mine"
