"""Files of strangers, one per trick: each is refused at the key that its first line names.

`# refused: services.web.privileged` is where the refusal points (or `line 5`, for a file that is
not read to its end). `# file NAME: LINE` puts a line into a file beside it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from grader.vetting import compose, stack
from grader.vetting.yamlfile import Refused

CORPUS = Path(__file__).parent.parent / "hostile"
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


def cases(folder: str) -> list[pytest.param]:
    return [pytest.param(path, id=path.stem) for path in sorted((CORPUS / folder).glob("*.yaml"))]


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


@pytest.mark.parametrize("source", cases("compose"))
def test_a_hostile_compose_file_is_refused_at_its_key(source: Path, tmp_path: Path) -> None:
    laid_out(source, tmp_path, "compose.yaml")
    with pytest.raises(Refused) as caught:
        compose.read(tmp_path, "work")
    assert_refused_where_it_says(caught.value, source, tmp_path)


@pytest.mark.parametrize("source", cases("stack"))
def test_a_hostile_stack_file_is_refused_at_its_key(source: Path, tmp_path: Path) -> None:
    laid_out(source, tmp_path, "stack.yaml")
    with pytest.raises(Refused) as caught:
        stack.read(tmp_path, "stack.yaml", "work")
    assert_refused_where_it_says(caught.value, source, tmp_path)


@pytest.mark.parametrize("source", cases("allowed"))
def test_what_students_write_is_taken(source: Path, tmp_path: Path) -> None:
    laid_out(source, tmp_path, "compose.yaml")
    file = compose.read(tmp_path, "work")
    assert file.services
    file.refuse_images({"redis:7", "nginx:1.22", "mariadb:10.11", "wordpress:6"})


def test_there_is_a_corpus() -> None:
    assert len(cases("compose")) > 150
    assert len(cases("stack")) > 20
    assert len(cases("allowed")) > 25
