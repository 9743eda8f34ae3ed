"""Files of strangers, one per trick: each is refused at the key that its first line names.

`# refused: services.web.privileged` is where the refusal points (or `line 5`, for a file that is
not read to its end). `# file NAME: LINE` puts a line into a file beside it.
"""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from grader.lab import labfile
from grader.paths import KIT
from grader.vetting import compose, stack
from grader.vetting.yamlfile import Refused
from grader.waiting import wait_until
from tests.hostile import cases as corpus
from tests.hostile import judge, layout, makers
from tests.hostile.run import Ran
from tests.hostile.services import Services

CORPUS = KIT / "tests" / "hostile"
FILES = {
    "Dockerfile": "FROM redis:7\n",
    "app.conf": "port 80\n",
    "settings.env": "A=1\n",
    "site/index.html": "hello\n",
}


def laid_out(source: Path, folder: Path, name: str) -> None:
    """The file as `name` in the folder, with what lies beside it."""
    text = source.read_text(encoding="utf-8")
    files: dict[str, str] = {**FILES, name: text}
    for beside, line in re.findall(r"^# file (\S+): (.*)$", text, re.MULTILINE):
        files[beside] = ("" if beside in FILES else files.get(beside, "")) + line + "\n"
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")


def cases(folder: str) -> list[Path]:
    return sorted((CORPUS / folder).glob("*.yaml"))


def each(folder: str) -> pytest.MarkDecorator:
    """A test once for each case, under its name."""
    return pytest.mark.parametrize("source", cases(folder), ids=lambda path: path.stem)


def assert_refused_where_it_says(error: Refused, source: Path, folder: Path) -> None:
    expected = re.match(r"# refused: ?(.*)\n", source.read_text(encoding="utf-8"))
    assert expected, "its first line says where it is refused"
    assert error.where is not None
    assert error.where.startswith("work/")
    if expected[1]:
        assert error.where.endswith(f", {expected[1]}"), error
        name, number = re.findall(r"^work/(\S+), line (\d+)", error.where)[0]
        line = (folder / name).read_text(encoding="utf-8").splitlines()[int(number) - 1]
        keys = [key for key in expected[1].split(".") if not key.isdigit()]
        odd = expected[1].startswith("line") or source.stem.startswith(("yaml-", "json-"))
        assert odd or keys[-1] in line or "- " in line, line
    assert error.what.endswith("."), error
    assert error.remedy, error
    assert error.remedy.endswith((".", "?")), error


@each("compose")
def test_a_hostile_compose_file_is_refused_at_its_key(source: Path, tmp_path: Path) -> None:
    laid_out(source, tmp_path, "compose.yaml")
    with pytest.raises(Refused) as caught:
        compose.read(tmp_path, "work")
    assert_refused_where_it_says(caught.value, source, tmp_path)


@each("stack")
def test_a_hostile_stack_file_is_refused_at_its_key(source: Path, tmp_path: Path) -> None:
    laid_out(source, tmp_path, "stack.yaml")
    with pytest.raises(Refused) as caught:
        stack.read(tmp_path, "stack.yaml", "work")
    assert_refused_where_it_says(caught.value, source, tmp_path)


@each("allowed")
def test_what_students_write_is_taken(source: Path, tmp_path: Path) -> None:
    laid_out(source, tmp_path, "compose.yaml")
    file = compose.read(tmp_path, "work")
    assert file.services
    file.refuse_images({"redis:7", "nginx:1.22", "mariadb:10.11", "wordpress:6"})


def test_there_is_a_corpus() -> None:
    assert len(cases("compose")) > 150
    assert len(cases("stack")) > 20
    assert len(cases("allowed")) > 25


# Whole submissions, which `nox -s hostile` grades for real (see tests/hostile/cases.py).

WHOLE = corpus.load()


def test_there_are_whole_submissions_of_each_kind() -> None:
    assert len(WHOLE) >= 200
    assert {case.kind for case in WHOLE} == set(corpus.KINDS)
    assert min(sum(case.kind == kind for case in WHOLE) for kind in corpus.KINDS) >= 15
    names = [case.name for case in WHOLE]
    assert len(set(names)) == len(names), "a name is one case"
    assert sorted(case.kind for case in corpus.sample(WHOLE)) == sorted(corpus.KINDS)


def test_each_case_tries_something_of_its_own() -> None:
    tried = [(case.kind, case.exercise, case.tries) for case in WHOLE]
    assert not [one for one in tried if tried.count(one) > 1 and not one[2].startswith("The same")]
    for case in WHOLE:
        assert case.service or case.top or case.files or case.edit or case.make, case.name


WORDS = (
    *("secret", "open", "victim", "beside", "socket", "host", "hosts", "tmp", "variable"),
    *("open_port", "loop_port", "neighbour", "neighbour_ip"),
)
"""What canaries.py puts in the place of [[…]]."""


@pytest.mark.parametrize("group", sorted({(case.lab, case.exercise) for case in WHOLE}))
def test_each_case_can_be_laid_out(group: tuple[str, str], tmp_path: Path) -> None:
    lab_id, exercise = group
    lab = labfile.load(lab_id)
    member = layout.Member("s9000001", None)
    known = layout.known_words(lab, member, dict.fromkeys(WORDS, "x"))
    layout.render(lab, exercise, member.student, None, tmp_path / "whole")
    for case in (case for case in WHOLE if (case.lab, case.exercise) == group):
        texts = (*case.files, *case.files.values(), case.service, case.top, case.student, case.make)
        for text in texts:
            layout.filled(text, known)
        for name, (old, _) in case.edit.items():
            said = (tmp_path / "whole" / name).read_text(encoding="utf-8")
            assert layout.filled(old, known) in said, case.name
        for name in (*case.remove, *(case.folders or ())):
            assert (tmp_path / "whole" / name).exists(), case.name
        for line in case.make.strip("\n").split("\n") if case.make else ():
            makers.bound(line, tmp_path, known)


def test_a_case_that_is_not_written_as_it_must_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "FOLDER", tmp_path)
    good = {"tries": "A trick.", "must": "refused", "word": "no"}
    for wrong in (
        {**good, "must": "be good"},
        {**good, "word": ""},
        {**good, "tries": "A trick"},
        {**good, "exercice": "compose"},
        {**good, "door": "back"},
    ):
        (tmp_path / "env.yaml").write_text(yaml.safe_dump({"trick": wrong}), encoding="utf-8")
        with pytest.raises(ValueError, match=r"env\.yaml: trick"):
            corpus.load()
    (tmp_path / "env.yaml").write_text("a: {}\na: {}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="twice"):
        corpus.load()


def record(**check: Any) -> dict[str, Any]:
    """The record of a submission with one check."""
    usual = {"id": "compose.counter_starts", "outcome": "failed", "points": 0, "max_points": 1}
    checks = [{**usual, **check}]
    return {"gradable": True, "score": 0, "max_score": 1, "exercises": [{"checks": checks}]}


@pytest.fixture
def ran(tmp_path: Path) -> Ran:
    """A case that must be refused for a word, and how it was graded."""
    case = corpus.Case("trick", "compose", "A trick.", must="refused", word="leads out")
    made = Ran(layout.members([case], correct=False), tmp_path, 0, "")
    (tmp_path / "records").mkdir()
    entry: dict[str, object] = {"person": {"id": "s9000001"}, "remarks": [], "refused": None}
    (tmp_path / "class.json").write_text(json.dumps({"entries": [entry]}), encoding="utf-8")
    return made


def judged(ran: Ran, said: dict[str, Any]) -> list[str]:
    file = ran.out / "records" / "s9000001.json"
    file.write_text(json.dumps(said), encoding="utf-8")
    return judge.judge(ran, [], {}).wrong["trick"]


def test_a_verdict_wants_outcome_reason_and_no_points(ran: Ran) -> None:
    cause = {"reason": "The path leads out of the folder."}
    assert not judged(ran, record(cause=cause))
    assert "No word" in judged(ran, record(cause={"reason": "It is red."}))[0]
    assert "points" in judged(ran, record(cause=cause, points=1))[0]
    assert any("No check failed" in line for line in judged(ran, record(outcome="passed")))
    assert "gradable" in judged(ran, {**record(cause=cause), "gradable": False})[0]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("feedback/a.html", "<p>canary4711</p>", "The secret of the file"),
        ("class/index.html", "<script>hostiles9000001mark</script>", "text in a script"),
        ("class/index.html", "<img src='x' onerror='hostiles9000001mark'>", "an attribute"),
        ("class/index.html", "<hostiles9000001mark>", "a tag"),
        ("grades.csv", 'a,"=hostiles9000001mark"\n', "a cell begins like a formula"),
    ],
)
def test_a_verdict_finds_what_must_not_be_written(
    ran: Ran, name: str, text: str, expected: str
) -> None:
    assert not list(judge.written(ran, {"file": "canary4711"}))
    (ran.out / name).parent.mkdir(exist_ok=True)
    (ran.out / name).write_text(text, encoding="utf-8")
    (told,) = judge.written(ran, {"file": "canary4711"})
    assert expected in told


def test_text_that_is_shown_as_text_is_no_finding(ran: Ran) -> None:
    page = "<p title='hostiles9000001mark'>&lt;script&gt;hostiles9000001mark</p>"
    (ran.out / "page.html").write_text(page, encoding="utf-8")
    (ran.out / "grades.csv").write_text("a,'=hostiles9000001mark\n", encoding="utf-8")
    assert not list(judge.written(ran, {}))


def test_a_verdict_tells_of_whatever_canaries_noticed(ran: Ran) -> None:
    ran.left, ran.code, ran.peak = ["a container: x"], -9, 2_000_000_000
    shared = judge.judge(ran, ["A service of the host was reached"], {}).shared
    assert len(shared) == 4


def test_services_of_the_host_note_who_comes(tmp_path: Path) -> None:
    services = Services("canary4711", tmp_path / "s")
    try:
        with socket.create_connection(("127.0.0.1", services.open_port), 5) as visitor:
            visitor.sendall(b"hello")
            heard = b"".join(iter(lambda: visitor.recv(1000), b""))
        assert heard.endswith(b"canary4711")
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.sendto(b"knock", ("127.0.0.1", services.loop_port))
        assert wait_until(lambda: len(services.visits) == 2, within=10)
        assert ["hello" in services.visits[0], "knock" in services.visits[1]] == [True, True]
    finally:
        services.close()
