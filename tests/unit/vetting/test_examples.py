"""What the lab itself shows must pass: solutions, alternatives, and what is handed out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.engine.images import catalogue
from grader.grading import examples
from grader.handout import workspace
from grader.lab import labfile
from grader.lab.model import Lab
from grader.paths import KIT
from grader.vetting import compose, dockerfile, stack
from grader.vetting.yamlfile import Refused

LAB = labfile.load(KIT / "labs" / "lab4")
STUDENTS = [LAB.demo_student, "s1234567", "s7654321", "s2222222"]
STACKS = {"rollout": ("stack.yaml", "voting.yaml")}

REFUSED = {
    "compose/mistakes/blog-foreign-image": "services.wordpress.image",
    "compose/mistakes/blog-wrong-indent": "line 5",
    "compose/mistakes/counter-foreign-base": "builds on",
    "compose/mistakes/counter-misspelt-key": "services.web.port",
    "compose/mistakes/counter-no-dockerfile": "services.web.build",
    "compose/mistakes/counter-tab": "line 4",
    "rollout/mistakes/bind_mount": "services.front.volumes.0",
    "rollout/mistakes/host_network": ".external",
    "rollout/mistakes/misspelt_key": "services.app.deploy.update-config",
    "rollout/mistakes/unknown_image": ".image",
    "rollout/mistakes/voting_docker_socket": "services.worker.volumes.0",
}
"""The mistakes that are seen by reading, and where; all others are left to fail by effect."""


def vet(lab: Lab, folder: Path, exercise: str) -> Iterator[str]:
    """What is refused of an exercise's folders, as text; nothing where nothing is handed in."""
    allowed = catalogue.load().all_names(lab.exercise(exercise).images)
    for name in lab.exercise(exercise).folders:
        try:
            if exercise in STACKS:
                for file in STACKS[exercise]:
                    stack.read(folder / name, file, name).refuse_images(allowed)
            elif any((folder / name / file).is_file() for file in compose.NAMES):
                found = compose.read(folder / name, name)
                found.refuse_images(allowed)
                for entry in filter(lambda entry: entry.build, found.entries):
                    assert entry.build is not None
                    text = entry.build.inline or (
                        folder / name / str(entry.build.dockerfile)
                    ).read_text(encoding="utf-8")
                    vetted = dockerfile.vet(text, allowed, entry.build.args)
                    yield from (problem.reason for problem in vetted.problems)
        except Refused as refused:
            yield str(refused)


EXAMPLES = [e for e in examples.find(LAB) if e.exercise.id in ("compose", "rollout")]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_is_refused_where_it_says_and_nowhere_else(
    example: examples.Example, tmp_path: Path
) -> None:
    # What is right must be taken from everybody; a mistake is one whoever makes it.
    students = STUDENTS[:1] if "/mistakes/" in example.name else STUDENTS
    for student in students:
        folder = tmp_path / student
        examples.render(LAB, example, student, folder)
        told = list(vet(LAB, folder, example.exercise.id))
        if example.name in REFUSED:
            assert len(told) == 1, told
            assert REFUSED[example.name] in told[0]
        else:
            assert told == []


@pytest.mark.parametrize("student", STUDENTS[:2])
def test_of_what_is_handed_out_only_what_is_missing_is_refused(
    student: str, tmp_path: Path
) -> None:
    workspace.write(LAB, student, tmp_path / "work")
    for exercise in ("compose", "rollout"):
        for told in vet(LAB, tmp_path / "work", exercise):
            assert "no services" in told or "no `services:`" in told or "has no" in told
