"""The allow-list as a table: nothing of the specification is left undecided, and docs agree."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from grader.paths import KIT
from grader.vetting import model, model_stack
from grader.vetting.allowlist import ANY, Forbidden, Form, Spec
from tests.unit.compose_spec import SPEC

SECURITY = KIT / "docs" / "security.md"


def at(spec: Spec, path: str) -> Form:
    """The part of the table that decides about the mapping at a path."""
    for step in filter(None, path.split(".")):
        assert isinstance(spec, Form), path
        inner = (spec.names or spec.item) if step == "*" else (spec.keys or {}).get(step)
        assert inner is not None, f"{path}: nothing at {step}"
        spec = inner
    assert isinstance(spec, Form), path
    return spec


def refusals(spec: Spec, path: str = "") -> Iterator[tuple[str, Forbidden]]:
    if isinstance(spec, Forbidden):
        yield path, spec
    elif isinstance(spec, Form):
        for name, inner in (spec.keys or {}).items():
            yield from refusals(inner, f"{path}.{name}".lstrip("."))
        others: tuple[Spec | None, ...] = (spec.names, spec.item)
        for other in others:
            if other is not None:
                yield from refusals(other, f"{path}.*")


@pytest.mark.parametrize("path", SPEC)
def test_each_key_of_the_specification_is_decided(path: str) -> None:
    assert set(SPEC[path].split()) - set(at(model.MODEL, path).keys or {}) == set()


@pytest.mark.parametrize("path", ["", "services.*", "networks.*", "volumes.*", "configs.*"])
def test_each_key_of_the_specification_is_decided_for_a_stack(path: str) -> None:
    assert set(SPEC[path].split()) - set(at(model_stack.MODEL, path).keys or {}) == set()


def test_a_stack_may_say_nothing_that_a_compose_file_may_not() -> None:
    compose = dict(refusals(model.MODEL))
    stack = dict(refusals(model_stack.MODEL))
    kept = {path for path in compose if path.count(".") == 2 and path.startswith("services")}
    assert kept <= stack.keys()


@pytest.mark.parametrize(
    ("path", "refusal"), [*refusals(model.MODEL), *refusals(model_stack.MODEL)]
)
def test_each_refusal_is_two_sentences_for_a_person(path: str, refusal: Forbidden) -> None:
    assert re.fullmatch(r"[a-z].*\.", refusal.what), path
    assert re.fullmatch(r"[A-Z].*\.", refusal.remedy), path


def test_keys_that_one_might_write_elsewhere_are_told_where_they_belong() -> None:
    assert "deploy" in model.ELSEWHERE["replicas"]
    assert "service" in model.ELSEWHERE["image"]
    assert "edge" in model.ELSEWHERE["services"]


def test_the_security_page_lists_exactly_the_keys_that_are_refused() -> None:
    text = SECURITY.read_text(encoding="utf-8")
    section = text.partition("### Never accepted in a compose file")[2].partition("\n### ")[0]
    told = set(re.findall(r"`([a-z_.]+)`", section))
    assert told == {short(path) for path, _ in refusals(model.MODEL)}


def test_the_security_page_lists_exactly_the_keys_with_a_rule() -> None:
    text = SECURITY.read_text(encoding="utf-8")
    section = text.partition("### Accepted with a condition")[2].partition("\n### ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`([a-z_.]+)`", row)}
    assert told == set(ruled(model.MODEL))


def short(path: str) -> str:
    """`build.network` for services.*.build.network."""
    return path.removeprefix("services.*.").replace(".*", "")


def ruled(spec: Spec, path: str = "") -> Iterator[str]:
    """The nearest keys of values at which a rule looks: `build.network`, `volumes`."""
    name = short(path)
    if isinstance(spec, Form):
        if spec.rule is not None:
            yield name
        for key, inner in (spec.keys or {}).items():
            yield from ruled(inner, f"{path}.{key}".lstrip("."))
        others: tuple[Spec | None, ...] = (spec.names, spec.item, spec.text)
        for other in others:
            if other is not None:
                yield from ruled(other, path + ".*")
    elif not isinstance(spec, Forbidden) and spec is not ANY:
        yield name
