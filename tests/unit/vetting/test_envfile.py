"""`.env`: what Compose makes of it is known for sure, or not used where it matters."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.vetting import envfile
from grader.vetting.environment import ENVIRONMENT
from grader.vetting.variables import Unclear, Variables, exactly
from grader.vetting.yamlfile import Refused


def read(folder: Path, text: str | bytes) -> Variables:
    (folder / ".env").write_bytes(text.encode() if isinstance(text, str) else text)
    return envfile.read(folder, "counter")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("export A=1", "1"),
        ("  A = 1  ", "1"),
        ("A: 1", "1"),
        ("A='it is $5 # \"x\"'", 'it is $5 # "x"'),
        ('A="b c" # remark', "b c"),
        ("A=b # remark", "b"),
        ("A=", ""),
        ("A=${HOME}/x", "/root/x"),
        ("A=${B:-c}", "c"),
        ("A='$B'", "$B"),
    ],
)
def test_a_value_is_read_as_compose_reads_it(tmp_path: Path, line: str, value: str) -> None:
    variables = read(tmp_path, f"# first\n\n{line}\r\n")
    assert variables.values["A"] == value
    assert "A" in variables.own
    assert not variables.unclear


@pytest.mark.parametrize(
    "line", ["A=b\\c", "A=#b", "A=it's", 'A="a\\nb"', "A=${B:-${C}}", "A=$(id)", "A=b#c"]
)
def test_a_value_that_can_be_read_in_two_ways_decides_nothing(tmp_path: Path, line: str) -> None:
    variables = read(tmp_path, line)
    assert variables.unclear == {"A"}
    assert "A" in variables.own
    with pytest.raises(Unclear):
        exactly("x${A}", variables)


def test_the_last_line_of_a_name_counts(tmp_path: Path) -> None:
    assert read(tmp_path, "A=1\nA=2\n").values["A"] == "2"
    assert read(tmp_path, "A='\\'\nA=2\n".replace("'\\'", "b\\c")).unclear == frozenset()
    assert read(tmp_path, "A=2\nA=b\\c\n").unclear == {"A"}


def test_the_fixed_environment_wins_as_it_does_for_compose(tmp_path: Path) -> None:
    variables = read(tmp_path, "HOME=./here\nPATH=x\nCOMPOSE_PROJECT_NAME=other\n")
    assert variables.values["HOME"] == ENVIRONMENT["HOME"]
    assert variables.values["COMPOSE_PROJECT_NAME"] == "counter"
    assert variables.own == frozenset()


def test_without_a_file_there_is_the_fixed_environment(tmp_path: Path) -> None:
    variables = envfile.read(tmp_path, "counter")
    assert variables.values.keys() == {*ENVIRONMENT, "PWD", "COMPOSE_PROJECT_NAME"}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("A=1\nCOMPOSE_FILE=x\n", 2, "COMPOSE_FILE"),
        ("export DOCKER_HOST: x\n", 1, "DOCKER_HOST"),
        ("no_proxy=x\n", 1, "no_proxy"),
        ("words\n", 1, "not NAME=value"),
        ("=x\n", 1, "not NAME=value"),
        ("1A=x\n", 1, "not NAME=value"),
        ("A='x\nB=y'\n", 1, "quote"),
        ('A="x\\"\n', 1, "quote"),
        ("A='x' y\n", 1, "quote"),
    ],
)
def test_a_line_that_is_refused_is_named(tmp_path: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(Refused) as caught:
        read(tmp_path, text)
    assert str(caught.value.where).startswith(f"counter/.env, line {line}")
    assert said in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"A=\xe9\n", b"A=" + b"x" * 70_000])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(Refused):
        read(tmp_path, raw)


def test_names_like_those_of_docker_may_be_ones_own(tmp_path: Path) -> None:
    variables = read(tmp_path, "DOCKER_TAG=7\nDOCKERHUB_USER=me\nMY_COMPOSE_FILE=x\nLDAP=y\n")
    assert variables.own == {"DOCKER_TAG", "DOCKERHUB_USER", "MY_COMPOSE_FILE", "LDAP"}


@pytest.mark.parametrize("first", ["xxxxxxxx", "'xxxxxxxx'", '"a\\nbcdefg"'])
@pytest.mark.parametrize("twice", ["$Z{0}$Z{0}", '"${{Z{0}}}${{Z{0}:-}}"', "${{Q:-$Z{0}}}$Z{0}"])
def test_values_that_double_are_refused(tmp_path: Path, first: str, twice: str) -> None:
    lines = [f"Z0={first}", *(f"Z{n}={twice.format(n - 1)}" for n in range(1, 31))]
    (tmp_path / ".env").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(Refused, match="longer than 64 KB") as refused:
        envfile.read(tmp_path, "counter")
    assert 10 <= int(str(refused.value.where).split("line ")[1].split(",")[0]) <= 15
