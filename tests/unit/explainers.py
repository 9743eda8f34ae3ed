"""What exercises tell students about output, of every lab."""

from __future__ import annotations

import importlib

from grader.lab import labfile
from grader.lab.model import Exercise, Lab
from grader.modules.explain import Explainer

LABS = [labfile.load(name) for name in labfile.names()]
EXERCISES = [(lab, exercise) for lab in LABS for exercise in lab.exercises]


def explainers(lab: Lab, exercise: Exercise) -> tuple[Explainer, ...]:
    """Those of an exercise; none where its checks explain no output."""
    if not (lab.folder / "checks" / exercise.id / "says.py").is_file():
        return ()
    says = importlib.import_module(f"labs.{lab.id}.checks.{exercise.id}.says")
    found: tuple[Explainer, ...] = says.EXPLAINERS
    return found
