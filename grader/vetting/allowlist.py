"""An allow-list for untrusted files, as data, and the function that compares a file with it.

    MODEL = Form(keys={
        "image": ANY,                                     # any value
        "privileged": off("`privileged` gives too much."),   # a rule looks at the value
        "provider": Forbidden("runs a program of the machine.", "Say `image:`."),
        "networks": Form(item=ANY, names=Form(keys={"aliases": ANY})),
    })

What is not in the list is refused. Rules are functions of a `Place` (see grader.vetting.rules).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from grader.vetting.variables import Unclear, Variables, exactly
from grader.vetting.yamlfile import Key, Refused, YamlFile


@dataclass(frozen=True)
class Setting:
    """What rules may want to know beside a value.

    `variables` is None where no variable may decide about anything. `names` are those that the
    file (or an earlier one that belongs to it) defines: {"services": {"web"}, …}. `elsewhere`
    tells where keys belong, for those who wrote them one level too high or too deep.
    """

    folder: Path
    variables: Variables | None
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """A value in a file, and how to get there."""

    file: YamlFile
    setting: Setting
    keys: tuple[Key, ...]
    value: Any

    @property
    def key(self) -> str:
        """The nearest key as it is written: `ports` for the first of its items, too."""
        return next((str(key) for key in reversed(self.keys) if isinstance(key, str)), "the file")

    def at(self, key: Key, value: Any) -> Place:
        """A value inside this one."""
        return replace(self, keys=(*self.keys, key), value=value)

    def refuse(self, what: str, remedy: str) -> NoReturn:
        raise Refused(what, where=self.file.where(*self.keys), remedy=remedy)

    def text(self) -> str:
        """The value with its variables filled in; refused if that is not certain."""
        return self.filled(self.plain())

    def plain(self) -> str:
        """The value as it is written; refused if it is no plain text, number or yes and no."""
        if self.value is None:
            return ""
        if isinstance(self.value, (dict, list)):
            self.refuse(f"`{self.key}` must be one plain value.", "Write it after the `:`.")
        if isinstance(self.value, bool):
            return str(self.value).lower()
        return str(self.value).strip()

    def filled(self, text: str) -> str:
        """A text that stands here, likewise."""
        variables = self.setting.variables
        if variables is None and "$" in text:
            self.refuse("A variable is used here.", "Write the value itself.")
        try:
            return exactly(text, variables or Variables()).strip()
        except Unclear:
            self.refuse(f"`{text}` depends on a variable in a way that the grader cannot read.",
                        "Write the value itself.")  # fmt: skip


Rule: TypeAlias = Callable[[Place], None]


@dataclass(frozen=True)
class Forbidden:
    """A key that is known and not taken: `what` goes on from its name, `remedy` is a sentence."""

    what: str
    remedy: str


@dataclass(frozen=True)
class Form:
    """How a value may be written; None: not so.

    `text` for one plain value, `item` for each of a list's, `keys` for a mapping with these keys,
    `names` for one whose keys are the student's own names. `rule` looks at the whole, at last.
    """

    text: Spec | None = None
    item: Spec | None = None
    keys: Mapping[str, Spec] | None = None
    names: Spec | None = None
    rule: Rule | None = None


Spec: TypeAlias = "Form | Forbidden | Rule"


def ANY(_place: Place) -> None:
    """Nothing in it can reach out of the container: the engine says what is wrong with it."""


def check(place: Place, spec: Spec) -> None:
    """Refused where the value is not what `spec` allows. Values that are left empty say nothing."""
    if isinstance(spec, Forbidden):
        place.refuse(f"`{place.key}` {spec.what}", spec.remedy)
    if place.value is None:
        return
    if not isinstance(spec, Form):
        spec(place)
        return
    value = place.value
    if isinstance(value, dict):
        _mapping(place, spec)
    elif isinstance(value, list) and spec.item is not None:
        for number, item in enumerate(value):
            check(place.at(number, item), spec.item)
    elif not isinstance(value, list) and spec.text is not None:
        check(place, spec.text)
    else:
        _misshapen(place, spec)
    if spec.rule is not None:
        spec.rule(place)


def _mapping(place: Place, spec: Form) -> None:
    if spec.keys is None and spec.names is None:
        _misshapen(place, spec)
    for key, value in place.value.items():
        if not isinstance(key, str):
            place.at(str(key), value).refuse(
                f"The key `{key}` is read as another type (such as a number), not as a name.",
                "Put it in quotes.",
            )
        inner = place.at(key, value)
        if spec.names is not None:
            check(inner, spec.names)
        elif spec.keys is not None and key in spec.keys:
            check(inner, spec.keys[key])
        elif spec.keys is not None and not key.startswith("x-"):
            _unknown(inner, key, spec.keys)


def _unknown(place: Place, key: str, keys: Mapping[str, Spec]) -> NoReturn:
    plain = key.lower().replace("-", "_")
    allowed = [name for name, spec in keys.items() if not isinstance(spec, Forbidden)]
    near = difflib.get_close_matches(plain, allowed, n=1, cutoff=0.75)
    belongs = place.setting.elsewhere.get(plain)
    if near:
        remedy = f"Did you mean `{near[0]}`?"
    elif belongs:
        remedy = f"It belongs {belongs}: check its indentation."
    else:
        remedy = "Remove it, or check its spelling and indentation."
    place.refuse(f"There is no key `{key}` here.", remedy)


def _misshapen(place: Place, spec: Form) -> NoReturn:
    forms = []
    if spec.text is not None:
        forms.append("one value after the `:`")
    if spec.item is not None:
        forms.append("a list, each line with `- `")
    if spec.keys is not None or spec.names is not None:
        forms.append("a mapping of `key: value`")
    is_now = "one value"
    if isinstance(place.value, (dict, list)):
        is_now = "a mapping" if isinstance(place.value, dict) else "a list"
    place.refuse(f"`{place.key}` is written as {is_now} here.", f"It is {' or '.join(forms)}.")
