"""Records: there and back, whole or not at all, and what cannot be read."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import paths, record
from grader.record import Cause, CheckResult, ExerciseResult, Record
from tests.unit import sample_record as sample

SAMPLES = ["typical", "full_marks", "no_engine", "hostile"]
SCHEMA_FILE = paths.KIT / "docs" / "record.schema.json"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(loaded)
    return loaded


@pytest.mark.parametrize("name", SAMPLES)
def test_record_comes_back_as_it_was_saved(name: str, tmp_path: Path) -> None:
    written = getattr(sample, name)()
    file = tmp_path / "new folder" / "record.json"
    record.save(written, file)
    assert record.load(file) == written


@given(
    text=st.text(alphabet=st.characters(exclude_categories=())),
    got=st.floats(0, 100),
)
def test_any_text_comes_back(text: str, got: float, tmp_path_factory: Any) -> None:
    check = sample.failed("a.b", text, 100.0, Cause(text, text, text, text, text))
    check = dataclasses.replace(check, points=got)
    written = sample.record(sample.exercise("a", text, [check], target={"kind": text}))
    file = tmp_path_factory.mktemp("r") / "record.json"
    record.save(written, file)
    assert record.load(file) == written


def test_same_record_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "1.json", tmp_path / "2.json"
    record.save(sample.typical(), one)
    record.save(sample.typical(), two)
    assert one.read_bytes() == two.read_bytes()
    assert b"\r" not in one.read_bytes()


@pytest.mark.parametrize("name", SAMPLES)
def test_saved_record_is_what_the_schema_says(
    name: str, schema: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "record.json"
    record.save(getattr(sample, name)(), file)
    jsonschema.validate(json.loads(file.read_text(encoding="utf-8")), schema)


def test_schema_names_the_fields_of_the_code(schema: dict[str, Any]) -> None:
    sums = {"score", "max_score", "gradable"}
    parts = [
        (Record, schema, sums),
        (ExerciseResult, schema["$defs"]["exercise"], sums),
        (CheckResult, schema["$defs"]["check"], set()),
        (Cause, schema["$defs"]["cause"], set()),
    ]
    for kind, part, derived in parts:
        names = {f.name for f in dataclasses.fields(kind)} | derived
        assert set(part["properties"]) == names, kind
        assert set(part["required"]) == names, kind
        assert part["additionalProperties"] is False, kind
    assert schema["properties"]["schema"]["const"] == record.SCHEMA


def test_schema_refuses_what_is_not_a_record(schema: dict[str, Any]) -> None:
    data = json.loads(json.dumps(sample.typical().to_json()))
    data["exercises"][0]["checks"][0]["outcome"] = "perhaps"
    with pytest.raises(jsonschema.ValidationError, match="perhaps"):
        jsonschema.validate(data, schema)


def test_fields_are_explained() -> None:
    explained = (paths.KIT / "docs" / "record.md").read_text(encoding="utf-8")
    kinds = (Record, ExerciseResult, CheckResult, Cause)
    names = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    assert [name for name in sorted(names) if f"`{name}`" not in explained] == []


def test_saving_over_a_record_keeps_the_old_one_if_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "record.json"
    record.save(sample.typical(), file)
    before = file.read_bytes()

    def broken(*_paths: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="no space left"):
        record.save(sample.full_marks(), file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_readers_see_old_or_new_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "record.json"
    record.save(sample.typical(), file)
    seen = []
    really = os.replace

    def watched(source: Any, target: Any) -> None:
        seen.append(record.load(file))
        assert record.load(Path(source)) == sample.full_marks(), "renamed before it was whole"
        really(source, target)

    monkeypatch.setattr(os, "replace", watched)
    record.save(sample.full_marks(), file)
    assert seen == [sample.typical()]
    assert record.load(file) == sample.full_marks()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe",
        b'{"schema": 1}',
        b'{"schema": 2, "exercises": []}',
        b'{"schema": 1, "exercises": [1]}',
        b'{"schema": 1, "exercises": {"a": 1}}',
        b"[" * 200_000,
    ],
    ids=lambda content: repr(content[:24]),
)
def test_unreadable_record_counts_as_none(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_bytes(content)
    assert record.load(file) is None


def test_missing_record_and_folder_count_as_none(tmp_path: Path) -> None:
    assert record.load(tmp_path / "nothing.json") is None
    assert record.load(tmp_path) is None


def test_truncated_record_counts_as_none(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    record.save(sample.typical(), file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert record.load(file) is None


def test_sums() -> None:
    found = sample.typical()
    assert (found.score, found.max_score) == (23.0, 40.5)
    assert found.gradable, "what the target cannot show is no one's fault"
    compose = found.exercise("compose")
    assert compose is not None
    assert compose.max_score == 25.5, "the check that the target cannot show is left out"
    assert found.exercise("nothing") is None


def test_faults_of_the_grader_leave_the_points_open() -> None:
    found = sample.no_engine()
    assert not found.gradable
    assert (found.score, found.max_score) == (1.0, 40.0)
    assert [e.gradable for e in found.exercises] == [False, False]
