"""Whatever a file says, it is taken or refused with a remedy; nothing else happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.vetting import compose, stack
from grader.vetting.yamlfile import Refused
from tests.unit.compose_spec import SPEC

KEYS = sorted({key for keys in SPEC.values() for key in keys.split()} | {"<<", "x-a", "", "A"})
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
    st.binary(max_size=4),
    st.sampled_from(["./a:/b", "/etc:/x", "$A", "${A:-/x}", "service:web", "1e400", "a=b", "~"]),
)
VALUE = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), PLAIN), inner, max_size=3),
    ),
    max_leaves=8,
)
SERVICE = st.dictionaries(st.sampled_from(KEYS), VALUE, max_size=4)
FILE = st.fixed_dictionaries(
    {"services": st.dictionaries(st.sampled_from(["web", "db"]), SERVICE, min_size=1)},
    optional={key: VALUE for key in SPEC[""].split() if key != "services"},
)
MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read_both(folder: Path, text: str) -> None:
    for name in ("compose.yaml", "stack.yaml"):
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "Dockerfile").write_text("FROM redis:7\n", encoding="utf-8")
    readings: list[Any] = [
        lambda: compose.read(folder, "work").refuse_images({"redis:7"}),
        lambda: stack.read(folder, "stack.yaml", "work").refuse_images({"redis:7"}),
    ]
    told: list[Refused] = []
    for reading in readings:
        try:
            reading()
        except Refused as error:
            told.append(error)
    for refused in told:
        assert refused.where, refused
        assert refused.remedy, refused


@MANY
@given(FILE)
def test_any_structure_is_taken_or_refused(tmp_path: Path, data: Any) -> None:
    read_both(tmp_path, yaml.safe_dump(data, allow_unicode=True))


@MANY
@given(st.text(alphabet="services:web image-[]{}&*!<>|'\"#\n\t ,?$%~=./", max_size=80))
def test_any_text_is_taken_or_refused(tmp_path: Path, text: str) -> None:
    read_both(tmp_path, "services:\n  web:\n    image: redis:7\n" + text)


@MANY
@given(st.text(max_size=60))
def test_any_dotenv_is_taken_or_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / ".env").write_bytes(text.encode("utf-8", errors="replace"))
    read_both(tmp_path, "services: {web: {image: 'redis:$A', volumes: ['$B:/x']}}")


@pytest.mark.parametrize("key", sorted(SPEC["services.*"].split()))
@pytest.mark.parametrize("value", [[], {}, "", 0, [[]], [{}], {"": None}, [None], {"a": {"b": []}}])
def test_no_key_trips_over_a_value_that_it_does_not_expect(
    tmp_path: Path, key: str, value: Any
) -> None:
    service = {"image": "redis:7", key: value}
    read_both(tmp_path, json.dumps({"services": {"web": service}}))
