"""Dockerfile text that hides lines, images or addresses: read as BuildKit reads it, or refused.

tests/engine/test_dockerfile_reading.py holds the same table against the engine itself.
"""

from __future__ import annotations

import pytest

from grader.vetting.dockerfile import MAX_CHARACTERS, reference, vet
from tests.dockerfiles import CERTAIN, HIDDEN, REFUSED

ALLOWED = {"debian:12", "alpine:3"}


def reasons(text: str) -> list[str]:
    return [problem.reason for problem in vet(text, ALLOWED).problems]


@pytest.mark.parametrize("text", CERTAIN.values(), ids=CERTAIN)
def test_what_the_engine_would_fetch_is_named(text: str) -> None:
    assert any("evil" in reason or " 0," in reason for reason in reasons(text)), reasons(text)


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN)
def test_what_is_only_text_for_the_engine_is_no_image(text: str) -> None:
    assert reasons(text) == []


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_engines_read_in_different_ways_is_refused_with_a_remedy(text: str) -> None:
    problems = vet(text, ALLOWED).problems
    assert problems
    for problem in problems:
        assert problem.line or "FROM" in problem.reason
        assert problem.reason.startswith(f"Line {problem.line}")
        assert problem.hint.endswith("."), problem


@pytest.mark.parametrize(
    "text",
    [
        "FROM debian:12\nENV A=site.tar\nADD $A /srv/",
        "ARG V=3\nFROM alpine:$V\nARG V\nADD page-${V}.tar /srv/",
        "FROM debian:12 AS a\nENV D=x\nFROM a\nADD ${D}/y /srv/",
        "FROM debian:12\nENV D a b\nADD x /srv/",
        "FROM debian:12\nCOPY $ANYTHING /srv/",
        'FROM debian:12\nADD ["a b", "/srv/"]',
        "FROM debian:12\nRUN cat <<-'EOF' > /x\n\ta\n\tEOF\nRUN echo $((1 << 3))",
        "FROM debian:12\nRUN <<A cat && <<B cat\nx\nA\ny\nB\nRUN true",
        'FROM debian:12\nRUN a \\\n  # why\n\n  && b\nCMD ["x"]',
        "FROM debian:12\nCOPY <<EOF /etc/x\nhttps://example.org\nEOF\n",
        'FROM debian:12\nHEALTHCHECK --interval=5s --retries=3 CMD curl -f "http://localhost"',
        "FROM debian:12\nRUN --mount=type=cache,target=/var/cache/apt --network=none true",
        "FROM --platform=$BUILDPLATFORM debian:12\nCOPY --chown=1:1 --chmod=755 a /b",
        "FROM debian:12\nRUN echo 'Grüße\u00a0an alle' # é\n",
        "# escape is \\\nFROM debian:12\n",
    ],
)
def test_what_students_write_is_taken(text: str) -> None:
    assert reasons(text) == []


def test_docker_hubs_names_are_shortened_only_where_they_mean_the_same() -> None:
    assert reference("index.docker.io/library/debian:12") == "debian:12"
    for other in (
        "docker.io/index.docker.io/library/debian:12",
        "docker.io/library/library/debian:12",
        "docker.io/docker.io/debian:12",
        "DOCKER.IO/library/debian:12",
        "registry.example/library/debian:12",
    ):
        assert reference(other) == other
        assert reference(reference(other)) == other


def test_an_escape_sign_counts_for_the_engine_when_the_syntax_line_is_out() -> None:
    vetted = vet("# syntax=docker/dockerfile:1\n# escape=`\nFROM `\ndebian:12\n", ALLOWED)
    assert vetted.problems == ()
    assert vetted.text == "# escape=`\n# (syntax)\nFROM `\ndebian:12\n"


@pytest.mark.parametrize("first", ["ARG A0=0123456789", "FROM debian:12\nENV A0=0123456789"])
def test_values_do_not_grow_without_end(first: str) -> None:
    kind = first.split()[-2].split("\n")[-1]
    lines = [first, *(f"{kind} A{n + 1}=$A{n}$A{n}" for n in range(200))]
    tail = "FROM $A200" if kind == "ARG" else "ADD $A200 /"
    (problem,) = vet("\n".join([*lines, tail]), ALLOWED).problems
    assert "cannot be read" in problem.reason


def test_a_file_that_is_too_long_is_not_read() -> None:
    (problem,) = vet("FROM debian:12\n" + "#" * MAX_CHARACTERS, ALLOWED).problems
    assert str(MAX_CHARACTERS) in problem.reason
