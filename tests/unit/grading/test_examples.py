"""Examples as edits: what they make of the solution, and what is said where they do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.errors import KitError
from grader.grading import examples
from grader.lab.model import Lab
from tests.unit import toy_lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = toy_lab.make(tmp_path)
    (made.templates / "words").mkdir()
    solution = made.folder / "examples" / "words" / "solution" / "words"
    solution.mkdir(parents=True)
    (solution / "words.txt.j2").write_text("hello {{ port }}\nhello again\n", encoding="utf-8")
    return made


def mistake(lab: Lab, expected: str) -> examples.Example:
    folder = lab.folder / "examples" / "words" / "mistakes" / "one"
    folder.mkdir(parents=True)
    (folder / "expected.yaml").write_text(f"about: One.\n{expected}", encoding="utf-8")
    (example,) = examples.find(lab, ["words/mistakes/one"])
    return example


def test_an_edit_is_made_in_the_solutions_template(lab: Lab, tmp_path: Path) -> None:
    example = mistake(
        lab,
        """
edit:
  words/words.txt:
    - ["hello {{ port }}", "port {{ port + 1 }}"]
    - ["hello again\\n", ""]
""",
    )
    examples.render(lab, example, lab.demo_student, tmp_path / "out")
    text = (tmp_path / "out/words/words.txt").read_text(encoding="utf-8")
    assert text.startswith("port 8")
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ('words/words.txt: [["hello", "x"]]', "stands 2 times in words/words.txt"),
        ('words/words.txt: [["nowhere", "x"]]', "stands 0 times in words/words.txt"),
        ('words/other.txt: [["hello", "x"]]', "edits words/other.txt, which is not there"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused(
    lab: Lab, tmp_path: Path, edit: str, said: str
) -> None:
    example = mistake(lab, f"edit:\n  {edit}\n")
    with pytest.raises(KitError, match=said):
        examples.render(lab, example, lab.demo_student, tmp_path / "out")


@pytest.mark.parametrize("edit", ["[words/words.txt]", "{words/words.txt: [[one]]}", "text"])
def test_an_edit_of_another_form_is_refused(lab: Lab, edit: str) -> None:
    with pytest.raises(KitError, match="`edit` is no mapping"):
        mistake(lab, f"edit: {edit}\n")
