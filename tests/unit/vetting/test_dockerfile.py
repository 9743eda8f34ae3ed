"""Dockerfiles are read as the engine reads them, as far as images and addresses go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.vetting.dockerfile import reference, vet

ALLOWED = {"debian:bookworm", "debian:12", "debian:latest", "nginx:1.22", "php:8.2-fpm"}


def reasons(text: str) -> list[str]:
    return [problem.reason for problem in vet(text, ALLOWED).problems]


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("FROM debian:bookworm\n", "debian:bookworm"),
        ("FROM debian", "debian:latest"),
        ("from docker.io/library/nginx:1.22", "nginx:1.22"),
        ("\ufeffFROM debian:12\r\nRUN true\r\n", "debian:12"),
        ("FROM --platform=$BUILDPLATFORM debian:12", "debian:12"),
        ("# a comment\n\n  FROM debian:12 AS base\n", "debian:12"),
        ("ARG TAG=12\nFROM debian:$TAG", "debian:12"),
        ('ARG TAG="12"\nFROM debian:${TAG}', "debian:12"),
        ("ARG TAG\nFROM debian:${TAG:-12}", "debian:12"),
        ("ARG A=debian B=12\nARG C=$A:${B}\nFROM ${C}", "debian:12"),
        ("ARG X=1\nFROM debian:${X:+12}", "debian:12"),
        ("FROM debian:12 AS a\nFROM a AS b\nFROM B", "debian:12"),
        ("FROM debian:12 AS a\nFROM scratch\nCOPY --from=a / /\nCOPY --from=0 / /", "scratch"),
        (
            "FROM debian:12\nRUN --mount=type=cache,target=/x --mount=from=nginx:1.22 ls",
            "debian:12",
        ),
        ("FROM debian:12\nADD site.tar.gz /srv/", "debian:12"),
        ("FROM debian:12\nCOPY https.conf http:/x /", "debian:12"),
    ],
)
def test_what_the_lab_allows_passes(text: str, base: str) -> None:
    vetted = vet(text, ALLOWED)
    assert vetted.problems == ()
    assert vetted.base == base
    assert vetted.text == text.removeprefix("\ufeff")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FROM ubuntu:24.04", "Line 1 builds on ubuntu:24.04, which this lab does not have."),
        ("FROM debian:bullseye", "Line 1 builds on debian:bullseye"),
        ("FROM ghcr.io/library/debian:12", "Line 1 builds on ghcr.io/library/debian:12"),
        ("FROM localhost:5000/debian:12", "Line 1 builds on localhost:5000/debian:12"),
        ("FROM debian:12@sha256:00", "Line 1 builds on debian:12@sha256:00"),
        ("ARG B=alpine\nFROM $B", "Line 2 builds on alpine ($B), which"),
        ("FROM $NOTHING", "Line 1: the image's name is empty"),
        ("FROM \\\n  # which?\n  ubuntu", "Line 1 builds on ubuntu"),
        ("FROM debian:12\nFROM ubuntu", "Line 2 builds on ubuntu"),
        ("FROM later\nFROM debian:12 AS later", "Line 1 builds on later"),
        ("FROM debian:12\nCOPY --from=busybox /bin/sh /", "Line 2 copies from the image busybox"),
        ("FROM debian:12\nRUN --mount=type=bind,from=curl/curl ls", "from the image curl/curl"),
        ("# syntax=evil/frontend:1\nFROM debian:12", "Line 1 asks for another Dockerfile language"),
        ("# escape=`\nFROM `\nubuntu", "Line 2 builds on ubuntu"),
        ("FROM debian:12\nADD https://example.org/x /", "Line 2 fetches https://example.org/x"),
        ("FROM debian:12\nADD git@example.org:a/b.git /", "Line 2 fetches git@example.org:a/b.git"),
        ('FROM debian:12\nADD ["http://example.org/x", "/"]', "Line 2 fetches"),
        ("FROM", "Line 1 has FROM without an image."),
        ("RUN true", "There is no FROM line in it."),
        ("", "There is no FROM line in it."),
    ],
)
def test_what_it_does_not_is_named_with_its_line(text: str, said: str) -> None:
    assert any(said in reason for reason in reasons(text)), reasons(text)


def test_what_looks_like_an_instruction_inside_a_here_document_is_none() -> None:
    text = 'FROM debian:12\nRUN <<A cat <<-"B"\nFROM ubuntu\nA\nCOPY --from=x a b\n\tB\nFROM alpine'
    assert reasons(text) == ["Line 7 builds on alpine, which this lab does not have."]


@pytest.mark.parametrize("command", ["cat <<<END", "echo $((1<<a))", "echo 'a <<b'"])
def test_what_is_no_here_document_hides_nothing(command: str) -> None:
    assert reasons(f"FROM debian:12\nRUN {command}\nFROM ubuntu\nEND") == [
        "Line 3 builds on ubuntu, which this lab does not have."
    ]


@pytest.mark.parametrize("name", ["docker/dockerfile:1", "docker.io/docker/dockerfile:1.7"])
def test_dockers_own_language_needs_no_pull_and_is_left_out(name: str) -> None:
    vetted = vet(f"# syntax={name}\nFROM debian:12\nRUN <<E\necho\r\nE\n", ALLOWED)
    assert vetted.problems == ()
    assert vetted.text == "# (syntax)\nFROM debian:12\nRUN <<E\necho\r\nE\n"


def test_a_syntax_line_after_the_first_instruction_is_a_comment() -> None:
    text = "FROM debian:12\n# syntax=evil\n"
    assert vet(text, ALLOWED).text == text
    assert reasons(text) == []


def test_images_are_all_that_come_in_each_once() -> None:
    vetted = vet("FROM debian:12 AS a\nFROM nginx:1.22\nCOPY --from=debian:12 /a /", ALLOWED)
    assert vetted.images == ("debian:12", "nginx:1.22")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("FROM debian:12@sha256:00", "Write it without the digest: debian:12"),
        ("FROM nginx:9", "Use one of: nginx:1.22."),
        ("FROM ubuntu", "Use one of these images: debian, nginx, php."),
    ],
)
def test_the_hint_names_what_to_take_instead(text: str, hint: str) -> None:
    assert vet(text, ALLOWED).problems[0].hint == hint


@given(st.text(max_size=300))
def test_any_text_at_all_is_read(text: str) -> None:
    vetted = vet(text, ALLOWED)
    assert vetted.problems or vetted.base is not None


@given(st.lists(st.sampled_from(["a", "b:1", "r.io/c", "d@sha256:0"]), min_size=1))
def test_an_image_that_is_not_allowed_is_never_missed(names: list[str]) -> None:
    text = "\n".join(f"FROM {name} AS s{i}" for i, name in enumerate(names))
    vetted = vet(text, ALLOWED)
    assert set(vetted.images) == {reference(name) for name in names}
    assert len(vetted.problems) == len(names)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("//syntax=evil/frontend\nFROM debian:12", "Line 1 asks for another Dockerfile language"),
        ("// syntax = evil/frontend\nFROM debian:12", "Line 1 asks for another"),
        ("#!/bin/build\n# syntax=evil/x\nFROM debian:12", "Line 2 asks for another"),
        ("# check=skip=all\n# syntax=evil/x\nFROM debian:12", "Line 2 asks for another"),
        ('{"syntax": "evil/frontend"}', "Line 1 asks for another Dockerfile language: JSON"),
        ('{\n "a": 1,\n "syntax": "evil/frontend"\n}', "Line 1 asks for another"),
        ("FROM debian:12\nRUN --network=host curl x", "Line 2 asks for the machine's own network"),
        (
            'FROM debian:12\nRUN --network="HOST" curl x',
            "Line 2 asks for the machine's own network",
        ),
        ("ARG N=host\nFROM debian:12\nRUN --network=$N x", "Line 3 asks for the machine's own"),
        ("FROM debian:12\nRUN --mount=type=tmpfs,target=/x --security=insecure x", "own rights"),
        (
            "FROM debian:12\nONBUILD RUN --network=host x",
            "Line 2 asks for the machine's own network",
        ),
        ("FROM debian:12\nONBUILD COPY --from=busybox / /", "Line 2 copies from the image busybox"),
        ("FROM debian:12\nonbuild add https://example.org/x /", "Line 2 fetches"),
        ("FROM debian:12\nONBUILD RUN --mount=from=curl/curl x", "from the image curl/curl"),
    ],
)
def test_what_leaves_the_build_is_named_with_its_line(text: str, said: str) -> None:
    found = reasons(text)
    assert any(said in reason for reason in found), found


@pytest.mark.parametrize(
    "text",
    [
        "# check=skip=all;error=true\nFROM debian:12\nRUN true",
        "#!/usr/bin/env docker\nFROM debian:12",
        "FROM debian:12\nRUN --network=none true\nRUN --network=default true",
        "FROM debian:12\nRUN --security=sandbox true",
        "FROM debian:12\nRUN --mount=type=secret,id=token --mount=type=ssh cat /run/secrets/token",
        "FROM debian:12\nONBUILD COPY . /app\nONBUILD RUN true",
        "FROM debian:12 AS a\nFROM debian:12\nRUN --mount=type=bind,from=a,target=/x ls",
        "FROM debian:12\nRUN echo --network=host",
        "FROM debian:12\nRUN docker run --network=host x || true",
    ],
)
def test_what_stays_in_the_build_passes(text: str) -> None:
    assert reasons(text) == []


def test_arguments_of_the_build_stand_instead_of_the_files_own() -> None:
    text = "ARG TAG=12\nFROM debian:${TAG}\n"
    assert vet(text, ALLOWED, {"TAG": "bookworm"}).base == "debian:bookworm"
    (problem,) = vet(text, ALLOWED, {"TAG": "sid"}).problems
    assert (
        problem.reason
        == "Line 2 builds on debian:sid (debian:${TAG}), which this lab does not have."
    )
    assert vet("FROM debian:12\n", ALLOWED, {"TAG": "sid"}).problems == ()
