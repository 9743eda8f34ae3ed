"""How check functions become outcomes: a real pytest run over a file of checks."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

RUN = """
import json, sys
from pathlib import Path
import pytest
from grader.grading.plugin import ChecksPlugin, Unavailable

folder = Path(sys.argv[1])
unavailable = None
if sys.argv[2] == "none":
    unavailable = Unavailable("engine", "no Docker engine", "start one")
plugin = ChecksPlugin(
    exercise="toy", emit=lambda e: print("EVENT " + json.dumps(e)), submission=folder,
    variant={"port": 8080}, student="s0000000", lab=None,
    target=None if unavailable else type("T", (), {"nodes": ["manager1"]})(),
    unavailable=unavailable,
)
sys.exit(pytest.main([str(folder), "-q", "-c", "/dev/null", "--rootdir", str(folder),
    "-p", "no:cacheprovider", "-o", "python_files=check_*.py",
    "-o", "python_functions=check_*", "--import-mode=importlib"],
    plugins=[plugin]))
"""


def run(folder: Path, checks: str, target: str = "there") -> tuple[int, list[dict[str, Any]], str]:
    import json

    head = "import pytest\nfrom grader.checks import cannot_show, check, fail, needs_first\n"
    (folder / "check_toy.py").write_text(head + textwrap.dedent(checks), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(folder), target],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if "EVENT {" in line]
    events = [json.loads(line[line.index("EVENT ") + 6 :]) for line in lines]
    return done.returncode, events, done.stdout + done.stderr


def results(events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {e["check"]["id"]: e["check"] for e in events if e["event"] == "result"}


def test_a_check_that_returns_has_passed_with_its_points(tmp_path: Path) -> None:
    _, events, _ = run(
        tmp_path,
        '''
        @check(points=2)
        def check_port(variant, node, student, submission):
            """The port is the student's
            own.

            A second paragraph is not for the student.
            """
            assert variant["port"] == 8080 and node == "manager1"
        ''',
    )
    found = results(events)["toy.port"]
    assert (found["outcome"], found["points"], found["max_points"]) == ("passed", 2, 2)
    assert found["title"] == "The port is the student's own."


def test_a_failed_check_says_why_and_gives_the_decorators_hint(tmp_path: Path) -> None:
    _, events, _ = run(
        tmp_path,
        '''
        @check(points=2, hint="Look at ports.")
        def check_port():
            """The page answers."""
            fail("It does not answer.", expected="200", actual=404, log="x" * 50000)
        ''',
    )
    found = results(events)["toy.port"]
    assert (found["outcome"], found["points"]) == ("failed", 0)
    cause = found["cause"]
    assert cause["reason"] == "It does not answer."
    assert (cause["expected"], cause["actual"], cause["hint"]) == ("200", "404", "Look at ports.")
    assert 1000 < len(cause["log"]) < 50_000


def test_a_check_is_not_graded_when_one_it_needs_has_not_passed(tmp_path: Path) -> None:
    _, events, _ = run(
        tmp_path,
        '''
        @check(points=1)
        def check_builds():
            """It builds."""
            fail("It does not build.")

        @check(points=1, needs=["builds"])
        def check_runs():
            """It runs."""

        @check(points=1, needs=["runs"])
        def check_counts():
            """It counts."""
        ''',
    )
    found = results(events)
    assert [found[f"toy.{n}"]["why"] for n in ("builds", "runs", "counts")] == [
        None,
        "needs",
        "needs",
    ]
    assert found["toy.counts"]["needs"] == ["toy.runs"]
    assert "toy.runs" in found["toy.counts"]["cause"]["reason"]


def test_a_check_may_find_while_it_runs_that_another_must_pass_first(tmp_path: Path) -> None:
    _, events, _ = run(
        tmp_path,
        '''
        @check(points=1)
        def check_created():
            """It is created."""
            fail("There is none.")

        @check(points=2)
        def check_counted():
            """It is counted."""
            needs_first("created")
        ''',
    )
    found = results(events)["toy.counted"]
    assert (found["outcome"], found["why"], found["points"]) == ("not_graded", "needs", 0)
    assert found["max_points"] == 2, "they are lost with the first cause"
    assert found["needs"] == ["toy.created"]
    assert "toy.created" in found["cause"]["reason"]


def test_a_fixture_that_fails_fails_the_checks_that_use_it(tmp_path: Path) -> None:
    _, events, _ = run(
        tmp_path,
        '''
        @pytest.fixture(scope="session")
        def image():
            fail("The image does not build.", hint="Read the last line of the log.")

        @check(points=1)
        def check_builds(image):
            """It builds."""
        ''',
    )
    found = results(events)["toy.builds"]
    assert found["outcome"] == "failed"
    assert found["cause"]["hint"] == "Read the last line of the log."


def test_an_error_of_the_grader_is_nobodys_zero(tmp_path: Path) -> None:
    _, events, _ = run(
        tmp_path,
        '''
        @check(points=1)
        def check_breaks():
            """It breaks."""
            {}["missing"]
        ''',
    )
    found = results(events)["toy.breaks"]
    assert (found["outcome"], found["why"]) == ("not_graded", "grader")
    assert "KeyError" in found["cause"]["log"]


def test_a_fault_of_the_engine_is_said_in_its_own_words(tmp_path: Path) -> None:
    _, events, _ = run(
        tmp_path,
        '''
        from grader.errors import EngineFault

        @check(points=1)
        def check_breaks():
            """It breaks."""
            raise EngineFault("The network is down.", remedy="Plug it in.")
        ''',
    )
    found = results(events)["toy.breaks"]
    assert (found["outcome"], found["why"]) == ("not_graded", "grader")
    assert found["cause"]["reason"] == "The network is down. This costs you no points."
    assert found["cause"]["hint"] == "Plug it in."


def test_what_the_target_cannot_show_is_not_graded(tmp_path: Path) -> None:
    _, events, _ = run(
        tmp_path,
        '''
        @check(points=1)
        def check_mesh():
            """The mesh answers."""
            cannot_show("This kernel has no ip_vs.")
        ''',
    )
    found = results(events)["toy.mesh"]
    assert (found["outcome"], found["why"]) == ("not_graded", "target")
    assert found["cause"]["reason"] == "This kernel has no ip_vs."


def test_what_waits_for_something_the_target_cannot_show_costs_no_points(tmp_path: Path) -> None:
    _, events, _ = run(
        tmp_path,
        '''
        @check(points=1)
        def check_mesh():
            """The mesh answers."""
            cannot_show("This kernel has no ip_vs.")

        @check(points=1, needs=["mesh"])
        def check_spread():
            """The mesh spreads requests."""

        @check(points=1)
        def check_scaled():
            """It is scaled."""
            fail("It is not.")

        @check(points=1, needs=["mesh", "scaled"])
        def check_both():
            """Both."""
        ''',
    )
    found = results(events)
    assert found["toy.spread"]["why"] == "target"
    assert found["toy.spread"]["cause"]["reason"] == "This kernel has no ip_vs."
    assert found["toy.both"]["why"] == "needs", "the failed one is the student's"


def test_without_an_engine_the_checks_that_read_files_are_graded(tmp_path: Path) -> None:
    _, events, _ = run(
        tmp_path,
        '''
        @check(points=1, needs_engine=False)
        def check_files(submission):
            """The files are there."""
            assert submission.is_dir()

        @check(points=1)
        def check_runs(node):
            """It runs."""
        ''',
        target="none",
    )
    found = results(events)
    assert found["toy.files"]["outcome"] == "passed"
    runs = found["toy.runs"]
    assert (runs["outcome"], runs["why"]) == ("not_graded", "engine")
    assert runs["cause"]["reason"] == "no Docker engine"
    assert runs["cause"]["hint"] == "start one"


def test_all_checks_are_known_before_the_first_one_runs(tmp_path: Path) -> None:
    _, events, _ = run(
        tmp_path,
        '''
        @check(points=1)
        def check_one():
            """One."""

        @check(points=3, visibility="hidden")
        def check_two():
            """Two."""
        ''',
    )
    assert events[0]["event"] == "collected"
    assert [(c["id"], c["max_points"], c["visibility"]) for c in events[0]["checks"]] == [
        ("toy.one", 1, "visible"),
        ("toy.two", 3, "hidden"),
    ]


@pytest.mark.parametrize(
    ("needs", "complaint"),
    [("nothing", "not a check of this exercise"), ("later", "comes after it")],
)
def test_needs_that_cannot_be_met_are_the_authors_mistake(
    tmp_path: Path, needs: str, complaint: str
) -> None:
    code, events, told = run(
        tmp_path,
        f'''
        @check(points=1, needs=["{needs}"])
        def check_first():
            """First."""

        @check(points=1)
        def check_later():
            """Later."""
        ''',
    )
    assert code == pytest.ExitCode.USAGE_ERROR
    assert not results(events)
    assert complaint in told


def test_a_function_without_the_decorator_is_the_authors_mistake(tmp_path: Path) -> None:
    code, _, told = run(tmp_path, "def check_bare():\n    pass\n")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "no @check decorator" in told


def test_hidden_checks_come_last_from_a_file_of_their_own(tmp_path: Path) -> None:
    hidden = """
    from grader.checks import check, fail


    @check(points=2, needs=["there"], needs_engine=False)
    def check_secret(number):
        \"\"\"What no one is told.\"\"\"
        if number != 8:
            fail("It is not 8.")
    """
    shared = "import pytest\n\n@pytest.fixture\ndef number():\n    return 7\n"
    (tmp_path / "conftest.py").write_text(shared, encoding="utf-8")
    (tmp_path / "check_a_hidden.py").write_text(textwrap.dedent(hidden), encoding="utf-8")
    checks = """
    @check(points=1, needs_engine=False)
    def check_there(number):
        \"\"\"There is a number.\"\"\"
    """
    _, events, said = run(tmp_path, checks)
    found = results(events)
    assert list(found) == ["toy.there", "toy.secret"], said
    assert found["toy.secret"]["outcome"] == "failed"
    assert found["toy.secret"]["visibility"] == "hidden", "its file says so"
    assert found["toy.there"]["visibility"] == "visible"
    (tmp_path / "check_a_hidden.py").unlink()
    _, events, _ = run(tmp_path, checks)
    assert list(results(events)) == ["toy.there"], "as in a student's release"


def test_files_of_checks_run_in_the_order_that_their_package_says(tmp_path: Path) -> None:
    text = """
    from grader.checks import check

    from .shared import SENTENCE


    @check(points=1, needs_engine=False)
    def check_NAME():
        \"\"\"It is so.\"\"\"
        assert SENTENCE
    """
    package = tmp_path / "toy"
    package.mkdir()
    (package / "shared.py").write_text('SENTENCE = "It is so."\n', encoding="utf-8")
    for name in ("a", "b", "c"):
        body = textwrap.dedent(text).replace("NAME", name)
        (package / f"check_{name}.py").write_text(body, encoding="utf-8")
    (package / "__init__.py").write_text('ORDER = ("check_c", "check_a")\n', encoding="utf-8")
    _, events, said = run(tmp_path, "")
    assert list(results(events)) == ["toy.c", "toy.a", "toy.b"], said
