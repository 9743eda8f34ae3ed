"""A student's own values: a pure function of course, lab and student ID.

Each value is drawn with SHA-256 over those three and its own name, so that it is the same
on every machine and in every Python version, and a value that is added to a lab later
leaves the others as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from grader.errors import KitError
from grader.lab.model import Lab, Parameter


def variant(lab: Lab, student: str) -> dict[str, int | str]:
    """All values of a student, flat, in the order of lab.yaml.

    KitError if the ID has not the lab's form, or an expression of lab.yaml is wrong.
    """
    lab.check_student(student)
    values: dict[str, int | str] = {}
    for parameter in lab.parameters:
        if parameter.expression is not None:
            values[parameter.name] = _evaluate(lab, parameter, values)
            continue
        rivals = {name for group in lab.distinct if parameter.name in group for name in group}
        taken = {values[name] for name in rivals if name in values}
        index = _draw(lab, student, parameter.name) % parameter.size
        # lab.yaml is refused if there are not more possible values than rivals: this ends.
        while parameter.value(index) in taken:
            index = (index + 1) % parameter.size
        values[parameter.name] = parameter.value(index)
    return values


def _draw(lab: Lab, student: str, name: str) -> int:
    """A number below 2**256, so much larger than any list that each entry is as likely."""
    text = "\0".join((lab.course, lab.id, student, name))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest(), "big")


@cache
def _compiled(expression: str) -> Callable[..., Any]:
    """An expression made ready; once for a whole class, for that takes longer than using it."""
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    return environment.compile_expression(expression, undefined_to_none=False)


def _evaluate(lab: Lab, parameter: Parameter, values: Mapping[str, Any]) -> int | str:
    import jinja2

    try:
        value = _compiled(parameter.expression or "")(**values)
        if isinstance(value, jinja2.Undefined):
            str(value)
    except Exception as error:
        raise KitError(
            f"The expression cannot be evaluated: {error}.",
            where=f"{lab.folder / 'lab.yaml'}, variant.{parameter.name}",
            remedy="It may use the values above it and Jinja's filters.",
        ) from None
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise KitError(
            f"The expression gives {value!r}, not a number or a text.",
            where=f"{lab.folder / 'lab.yaml'}, variant.{parameter.name}",
        )
    return value
