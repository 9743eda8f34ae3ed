"""Runbooks: read as a shell reads lines, whatever is in them."""

from __future__ import annotations

import shlex

from hypothesis import given
from hypothesis import strategies as st

from grader.modules.runbook import parse as runbook
from grader.modules.runbook import shellwords
from grader.modules.runbook.parse import VARIABLES, Runbook, parse

NODES = ("manager1", "worker1", "worker2")
VALUES = {name: f"<{name} ; $(x) 'q'>" for name in VARIABLES}


def book(text: str) -> Runbook:
    return parse(text, NODES)


def words(line: str) -> list[str]:
    found = book(f"manager1$ {line}")
    assert not found.problems, found.problems
    (step,) = found.steps
    return [str(word) for word in step.commands[0].words]


def problem(text: str) -> tuple[int, str]:
    found = book(text)
    assert len(found.problems) == 1, found.problems
    assert found.problems[0].hint
    return found.problems[0].line, found.problems[0].reason


def test_steps_have_names_lines_and_commands_with_their_node() -> None:
    found = book(
        "manager1$ docker info\n\n# A word.\n# step: create the swarm\n"
        "worker1$ docker ps\n  worker2$ docker ps # why\n# Step 2: Scale up:\n"
    )
    told = [(s.name, s.line, [(c.line, c.node) for c in s.commands]) for s in found.steps]
    assert told == [
        ("", 0, [(1, "manager1")]),
        ("create the swarm", 4, [(5, "worker1"), (6, "worker2")]),
        ("Scale up", 7, []),
    ]
    assert not found.problems


def test_line_ends_tabs_marks_and_prompts_of_all_kinds_are_all_right() -> None:
    text = (
        "\ufeff# step: look\r\nstudent@manager1:~$\tdocker\tnode ls\r\n"
        "root@worker1:/var/log# sudo docker ps\rMANAGER1$docker ps"
    )
    found = book(text)
    assert not found.problems
    assert [(c.line, c.text) for c in found.steps[0].commands] == [
        (2, "manager1$ docker node ls"),
        (3, "worker1$ docker ps"),
        (4, "manager1$ docker ps"),
    ]


def test_a_command_goes_on_behind_a_backslash_and_lines_are_still_counted() -> None:
    text = "manager1$ docker service \\\n>   create \\  \n\talpine:3\nworker9$ docker ps\n"
    found = book(text)
    assert found.steps[0].commands[0].text == "manager1$ docker service create alpine:3"
    assert found.problems[0].line == 4


def test_quotes_make_one_word_of_many() -> None:
    assert words("""docker ps 'a  b' "c 'd' \\" \\$" e\\ f '' g'h'"i" """) == [
        *("docker", "ps", "a  b", "c 'd' \" $", "e f", "", "ghi"),
    ]


def test_names_are_filled_in_after_words_were_told_apart() -> None:
    (step,) = book('manager1$ docker x ${WORKER_TOKEN} "$MANAGER1_ADDR:2377"').steps
    command = step.commands[0]
    assert command.names == {"WORKER_TOKEN", "MANAGER1_ADDR"}
    assert command.filled(VALUES) == [
        *("docker", "x", VALUES["WORKER_TOKEN"], VALUES["MANAGER1_ADDR"] + ":2377"),
    ]


def test_no_name_is_filled_in_within_single_quotes() -> None:
    (step,) = book("manager1$ docker x '${WORKER_TOKEN}'").steps
    assert step.commands[0].filled(VALUES)[2] == "${WORKER_TOKEN}"
    assert not step.commands[0].names


def test_what_only_a_shell_could_do_is_refused_with_its_line() -> None:
    for rest in (
        "; reboot",
        "| sh",
        "&& sh",
        "> f",
        "< f",
        "`id`",
        "$(id)",
        '"$(id)"',
        "(",
        '"`id`"',
    ):
        line, reason = problem(f"# step: x\nmanager1$ docker ps {rest}\nmanager1$ docker ps")
        assert line == 2
        assert "shell" in reason
    assert problem("manager1$ docker ps ${HOME}") == (1, "There is no value called ${HOME}.")
    assert "${IFS}" in problem("manager1$ docker${IFS}ps")[1]
    assert problem("manager1$ docker ps ${X")[1] == "A ${ is not closed."


def test_what_is_left_open_takes_only_its_own_command_down() -> None:
    found = book('manager1$ docker x "y \\\n  z\nworker1$ docker ps\n')
    assert [p.line for p in found.problems] == [1]
    assert [c.line for c in found.steps[0].commands] == [3]
    assert problem("manager1$ docker ps \\")[0] == 1


def test_lines_that_are_no_commands_are_told_apart() -> None:
    assert "on which node" in problem("docker ps")[1]
    assert "neither" in problem("ID   NAME   MODE")[1]
    assert problem("worker3$ docker ps") == (1, "There is no node worker3.")
    assert "without a name" in problem("# step:")[1]
    assert "word processor" in problem("manager1$ docker ps –a")[1]
    assert "U+0007" in problem("manager1$ docker ps \a")[1]


def test_it_has_bounds() -> None:
    assert problem("#" * (runbook.MAX_CHARACTERS + 1))[0] == 0
    many = book("manager1$ docker ps\n" * (runbook.MAX_COMMANDS + 50))
    assert len(many.steps[0].commands) == runbook.MAX_COMMANDS
    assert len(many.problems) == 1


def test_names_of_steps_are_compared_without_what_does_not_matter() -> None:
    assert runbook.normal(" Look at the NODES. ") == runbook.normal("look at nodes")
    assert runbook.normal("scale up") != runbook.normal("scale down")


@given(st.text(alphabet=st.sampled_from("""docker manager1$#:{}\\'"`;|&()<>\n\r\t~ “–-=_AX0""")))
def test_nothing_in_a_file_makes_it_fail(text: str) -> None:
    found = book(text)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    for problem in found.problems:
        assert 1 <= problem.line <= lines
    for step in found.steps:
        for command in step.commands:
            assert command.words
            assert set(command.names) <= set(VARIABLES)


@given(
    st.lists(st.text(alphabet=st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"))))
)
def test_words_that_a_shell_would_quote_come_back_as_they_were(given_words: list[str]) -> None:
    line = shlex.join(["docker", *given_words])
    assert words(line) == ["docker", *given_words]


@given(st.lists(st.text(alphabet=st.sampled_from("ab'\"\\ x"), min_size=1, max_size=8), max_size=6))
def test_it_tells_words_apart_as_a_posix_shell_does(pieces: list[str]) -> None:
    line = "docker " + " ".join(pieces)
    found = book(f"manager1$ {line}")
    try:
        expected = shlex.split(line)
    except ValueError:
        assert found.problems
        return
    assert not found.problems
    assert [str(w) for w in found.steps[0].commands[0].words] == expected


@given(st.text(alphabet=st.sampled_from("ab '\"\\#;"), max_size=20))
def test_a_command_shown_is_a_command_that_reads_the_same(word: str) -> None:
    if any(ord(c) < 32 for c in word):
        return
    assert words("docker " + shellwords.shown(word)) == ["docker", word]
