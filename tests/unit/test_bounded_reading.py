"""Texts of strangers that are as long and as bad as can be are read in proportion to their length.

Times are counted in plain readings of a text of the same length.
"""

from __future__ import annotations

import contextlib
import html
import importlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.classroom.similarity.placeholders import Placeholders
from grader.modules import buildlog, explain
from grader.modules.runbook import parse
from grader.modules.web import php_page
from grader.modules.web.bare_html import without_tags
from grader.text.cut import MAX_LINE, MAX_TEXT, cut
from grader.vetting import composecli, dockercli, dockerfile
from grader.vetting.refusal import Refusal
from tests.unit.explainers import EXERCISES, explainers

PLAIN = re.compile(r"(?:\w|\W)*")
MOST = 1000
"""Times a plain reading; what grows with the square takes many thousands."""

LONG = 300_000


def filled(text: str, size: int, before: str = "") -> str:
    return (before + text * (size // len(text) + 1))[:size]


def seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def is_read_in_time(text: str, read: Callable[[str], Any]) -> None:
    plain = max(min(seconds(lambda: PLAIN.match(text)) for _ in range(3)), 1e-4)
    taken = seconds(lambda: read(text))
    if taken / plain > MOST:
        taken = min(seconds(lambda: read(text)) for _ in range(3))
    assert taken / plain < MOST


def explained(text: str) -> None:
    for lab, exercise in EXERCISES:
        for explainer in explainers(lab, exercise):
            explainer.explain(text)


@pytest.mark.parametrize(
    "text",
    ["a", "-", "cp: ", "exec ", '"', "[emerg] 1", "a: not found\n", "<", "<script>", "<!--", "${"],
)
@pytest.mark.parametrize(
    "read", [explained, explain.unreachable, php_page.words, Placeholders({"a": "b-c"})]
)
def test_what_programs_say(text: str, read: Callable[[str], Any]) -> None:
    is_read_in_time(filled(text, LONG), read)


@pytest.mark.parametrize("text", ["apt install ", "apt ", "#1 0.1 Get:1 ", "\n"])
def test_logs_of_builds(text: str) -> None:
    is_read_in_time(
        filled(text, LONG, "#1 [1/1] RUN "), lambda log: [s.installs for s in buildlog.read(log)]
    )


@pytest.mark.parametrize(
    "text",
    ["#step ", "x\n", "#step: a\n", "m$ docker a\n", "\\", "\\ ", "a", '"', "\\\n", "x\n#step:a\n"],
)
@pytest.mark.parametrize("before", ["", "m$ docker "])
def test_runbooks(text: str, before: str) -> None:
    whole = filled(text, parse.MAX_CHARACTERS, before)
    is_read_in_time(whole, lambda book: parse.parse(book, ["m"]))
    assert len(parse.parse(whole, ["m"]).problems) <= parse.MAX_PROBLEMS + 1


@pytest.mark.parametrize(
    "text",
    ["RUN <<A\n", "RUN <<A <<A\nA\nA\n", "FROM a AS b\n", "ARG A=$A$A\n", "A=$A$A ", "\\\n", "$A "],
)
@pytest.mark.parametrize(
    "before", ["", "ARG A=aaaaaaaa ", "FROM a\nENV A=aaaaaaaaaaaaaa\nADD ", "FROM a\nRUN "]
)
def test_dockerfiles(text: str, before: str) -> None:
    whole = filled(text, dockerfile.MAX_CHARACTERS, before)
    is_read_in_time(whole, lambda file: dockerfile.vet(file, ["a"]))


@pytest.mark.parametrize(
    "line",
    ["docker", "docker service create --", "docker compose up --", "docker compose scale a="],
)
@pytest.mark.parametrize("text", ["9", "detach", "a=b,"])
def test_commands(line: str, text: str) -> None:
    def read(whole: str) -> None:
        for vet in (composecli.vet, lambda words: dockercli.vet(words, ["a"])):
            with contextlib.suppress(Refusal):
                vet(whole.split())

    is_read_in_time(filled(text, parse.MAX_CHARACTERS, line), read)


@pytest.fixture(scope="module")
def pins() -> Any:
    return importlib.import_module("labs.lab4.checks.scientific.pins")


@pytest.mark.parametrize("text", ["a[", "a", "RUN pip install ", "$A", "COPY a b\n", ".0", " "])
def test_versions(text: str, pins: Any, tmp_path: Path) -> None:
    def read(whole: str) -> None:
        for name in ("Dockerfile", "requirements.txt", "uv.lock", "pyproject.toml"):
            (tmp_path / name).write_text(whole, encoding="utf-8")
        pins.stated(tmp_path)

    begin = f"ARG A={'b' * 1000}\nRUN pip install -r requirements.txt "
    is_read_in_time(filled(text, LONG, begin), read)


TAGS = re.compile(r"(?s)<(script|style)\b.*?</\1>|<!--.*?-->|<[^?][^>]*>")


@given(
    st.lists(
        st.sampled_from(
            ["<", ">", "<script", "</script>", "<style>", "</style>", "<!--", "-->", "<?", "a", " "]
        )
    )
)
def test_a_page_loses_its_tags_as_a_pattern_would_take_them(parts: list[str]) -> None:
    text = "".join(parts)
    assert without_tags(text) == TAGS.sub(" ", text)
    assert php_page.words(text) == " ".join(html.unescape(TAGS.sub(" ", text)).split())


@given(st.lists(st.sampled_from(["-", "--", "a", "b-1", " ", ".", "web", "é"])))
def test_a_value_is_found_where_it_was(parts: list[str]) -> None:
    text = "".join(parts)
    word = re.compile(r"[\w-]*\w")
    named = {"web": "‹x›", "b-1web": "‹y›"}
    expected = word.sub(lambda found: named.get(found[0], found[0]), text)
    assert Placeholders({"x": "web", "y": "b-1web"})(text) == expected


@given(st.text(alphabet="ab\n", max_size=50).map(lambda text: text * 50))
def test_a_text_is_cut_to_its_beginning_and_end(text: str) -> None:
    found = cut(text)
    assert len(found) <= max(len(text), MAX_TEXT)
    assert all(len(line) <= MAX_LINE for line in found.split("\n"))
    if all(len(line) <= MAX_LINE for line in text.split("\n")):
        assert found == text
