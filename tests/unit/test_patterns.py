"""Every regular expression of the grader and the labs takes time in proportion to the text.

They are taken from the source, so that none can be forgotten: each literal that is given to a
function of `re`, and the tables of those that are not. For each one texts are made of its own
letters, that it nearly finds again and again, and the time is held against that of a plain reading
of the same text.
"""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from grader.text import cut

try:
    from re import _parser as sre  # type: ignore[attr-defined]
except ImportError:  # Python 3.10
    import sre_parse as sre

ROOT = Path(__file__).parents[2]
AT_THE_BEGINNING = ("match", "fullmatch")
FUNCTIONS = ("compile", *AT_THE_BEGINNING, "search", "findall", "finditer", "sub", "subn", "split")

SIZES = (600, 4_000, 32_000, 1_000_000)
"""What grows with the square shows at the second of them already: no test runs without end."""

KEPT = {600: 40, 4_000: 5}
"""How many texts of a size are tried at the next one: those that took longest."""

MOST = 250
"""Times a plain reading that a pattern may take. What grows with the square takes thousands."""

TABLES = {
    "grader/modules/explain.py": "GENERAL",
    "labs/lab4/checks/compose/says.py": "_SAID",
    "labs/lab4/checks/rollout/says.py": "_SAID",
    "labs/lab4/checks/scientific/says.py": "_SAID",
    "labs/lab4/checks/scientific/pins.py": "LOCKS",
}
"""Tables whose patterns are compiled or searched by a name."""

SHORT: dict[str, str] = {}
"""Patterns that see short texts only, and which."""

IN_LINES = {"grader/modules/explain.py", *(path for path in TABLES if path.endswith("/says.py"))}
"""Those that see a text whose lines were cut (grader.text.cut)."""

PLAIN = re.compile(r"(?:\w|\W)*")


@dataclass(frozen=True)
class Found:
    """A pattern in the source."""

    path: str
    line: int
    text: str
    flags: int
    anywhere: bool
    """Whether it is looked for in all of a text, or at its beginning only."""

    @property
    def id(self) -> str:
        return f"{self.path}:{self.line}"


def sources() -> list[Path]:
    return sorted([*ROOT.glob("grader/**/*.py"), *ROOT.glob("labs/*/checks/**/*.py")])


def literal(node: ast.expr) -> str | None:
    """The text of a constant; an f-string with what is filled in as one letter."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values
        )
    return None


def flags_of(call: ast.Call) -> int:
    names = {a.attr for arg in [*call.args, *(k.value for k in call.keywords)]
             for a in ast.walk(arg) if isinstance(a, ast.Attribute)}  # fmt: skip
    known = ("IGNORECASE", "MULTILINE", "DOTALL", "ASCII", "VERBOSE")
    return sum(int(re.RegexFlag[name]) for name in known if name in names)


def found_in(path: Path) -> Iterator[Found | str]:
    """Patterns of a file; for a call whose pattern is no literal, where it is."""
    name = path.relative_to(ROOT).as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    uses: dict[str, set[str]] = {}
    called: dict[int, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            uses.setdefault(node.value.id, set()).add(node.attr)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            called[id(node.value)] = node.targets[0].id
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
            and node.func.attr in FUNCTIONS
        ):
            text = literal(node.args[0])
            if text is None:
                yield f"{name}: {ast.unparse(node.args[0])}"
            else:
                how = {node.func.attr} - {"compile"} or uses.get(called.get(id(node), ""), set())
                anywhere = not how or bool(how - set(AT_THE_BEGINNING))
                yield Found(name, node.lineno, text, flags_of(node), anywhere)
        elif name in TABLES and isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and t.id == TABLES[name] for t in targets):
                table = ast.literal_eval(node.value)  # type: ignore[arg-type]
                texts = table.values() if isinstance(table, dict) else [row[0] for row in table]
                for number, text in enumerate(texts):
                    yield Found(
                        name, node.lineno + number, text, re.IGNORECASE | re.MULTILINE, True
                    )


EVERY = [one for path in sources() for one in found_in(path)]
PATTERNS = [one for one in EVERY if isinstance(one, Found)]

NOT_LITERAL = {
    "grader/modules/explain.py: seen": "TABLES",
    "labs/lab4/checks/scientific/pins.py: LOCKS[name]": "TABLES",
    "grader/lab/model.py: self.student_pattern": "the lab author's, for an ID of a few letters",
    "grader/lab/labfile.py: students['pattern']": "the lab author's",
    "grader/classroom/reports/people.py: self.lab.student_pattern": "the lab author's",
    "grader/modules/exchange.py: b'HTTP/1\\\\.\\\\d (\\\\d{3})(?!\\\\S)'": "a bounded line",
    "grader/modules/exchange.py: b'([0-9a-fA-F]{1,15})[ \\\\t]*(?:;|$)'": "a bounded line",
    "grader/vetting/rules.py: pattern": "see its callers; for one value of a YAML file of 64 KB",
}
"""Calls with a pattern by name, and where it is tested or why it need not be."""


def test_a_pattern_that_is_no_literal_is_known() -> None:
    others = {one for one in EVERY if isinstance(one, str)}
    assert {one for one in others if one.startswith(STRANGERS)} <= set(NOT_LITERAL)


# Texts that a pattern nearly finds ----------------------------------------------------------------


def one_of(items: Any) -> str:
    """A letter that a class of letters takes."""
    negated = items and str(items[0][0]) == "NEGATE"
    alphabet = "a1 -_.:/\"'<>[]{}()=$#@\\\n\tZ" + chr(0x2028)
    if not negated:
        for kind, value in items:
            if str(kind) == "LITERAL":
                return chr(value)
            if str(kind) == "RANGE":
                return chr(value[0])
            if str(kind) == "CATEGORY":
                return {"DIGIT": "1", "SPACE": " ", "WORD": "a"}.get(
                    str(value).rpartition("_")[2], "-"
                )
    banned = {chr(value) for kind, value in items if str(kind) == "LITERAL"}
    categories = {str(value) for kind, value in items if str(kind) == "CATEGORY"}
    if any("NOT" not in c and c.endswith("SPACE") for c in categories):
        banned |= set(" \n\t")
    if any("NOT" not in c and c.endswith(("WORD", "DIGIT")) for c in categories):
        banned |= set("a1_Z")
    return next((char for char in alphabet if char not in banned), "a")


def pieces(parsed: Any) -> list[str]:
    """A text for each part of a pattern, as short as the part takes."""
    made: list[str] = []
    for op, value in parsed:
        kind = str(op)
        if kind == "LITERAL":
            made.append(chr(value))
        elif kind in ("NOT_LITERAL", "ANY"):
            made.append("b")
        elif kind == "IN":
            made.append(one_of(value))
        elif kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            made.append("".join(pieces(value[2])) * max(1, min(value[0], 20)))
        elif kind == "SUBPATTERN":
            made.append("".join(pieces(value[3])))
        elif kind == "ATOMIC_GROUP":
            made.append("".join(pieces(value)))
        elif kind == "BRANCH":
            made.append("".join(pieces(value[1][0])))
        else:
            made.append("")
    return made


def branches(parsed: Any) -> Iterator[Any]:
    """The pattern, and what its groups and alternatives have in them."""
    yield parsed
    for op, value in parsed:
        kind = str(op)
        inner: list[Any] = []
        if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            inner = [value[2]]
        elif kind == "SUBPATTERN":
            inner = [value[3]]
        elif kind == "BRANCH":
            inner = list(value[1])
        for part in inner:
            yield from branches(part)


def seeds(pattern: Found) -> list[str]:
    """What is repeated: beginnings of the pattern and of its parts, and single letters."""
    parsed = sre.parse(pattern.text, pattern.flags)
    found: dict[str, None] = {}
    for part in branches(parsed):
        texts = pieces(part)
        for end in range(1, len(texts) + 1):
            found["".join(texts[:end])] = None
        for text in texts:
            found[text[:1]] = None
            found[text] = None
    return [seed for seed in found if seed][:40]


def texts(pattern: Found, size: int) -> Iterator[str]:
    """Texts of a size, each of them nearly what the pattern looks for."""
    chosen = seeds(pattern)
    letters = sorted({seed for seed in chosen if len(seed) == 1} | {" ", "a", "1"})[:14]
    for seed in chosen:
        yield (seed * (size // len(seed) + 1))[:size]
    longest = sorted(chosen, key=len)[-6:]
    for seed, letter in product(longest, letters):
        yield seed + letter * (size - len(seed)) + "\x00"
        yield (seed + letter) * (size // (len(seed) + 1))


def seconds(compiled: re.Pattern[str], text: str, anywhere: bool, tries: int) -> float:
    """The best of some tries to find it: everywhere, or at the beginning."""
    best = float("inf")
    for _ in range(tries):
        began = time.process_time()
        if anywhere:
            for _found in compiled.finditer(text):
                pass
        else:
            compiled.match(text)
            compiled.fullmatch(text)
        best = min(best, time.process_time() - began)
    return best


def times_of_reading(pattern: Found, compiled: re.Pattern[str], text: str) -> float:
    """How many times a plain reading of the text it takes."""
    found = seconds(compiled, text, pattern.anywhere, 1) / plain_seconds(len(text))
    if found > MOST:
        # Once more, for the machine may have been busy.
        found = seconds(compiled, text, pattern.anywhere, 3) / seconds(PLAIN, text, False, 3)
    return found


@cache
def plain_seconds(size: int) -> float:
    return seconds(PLAIN, "a" * size, False, 3)


STRANGERS = (
    "grader/answers", "grader/bare_html", "grader/explain", "grader/likeness", "grader/modules",
    "grader/php_page", "grader/placeholders", "grader/play", "grader/reports", "grader/runbook",
    "grader/shellwords", "grader/vetting", "grader/intake/labels", "grader/intake/git",
    "grader/intake/names", "grader/handed_in", "labs/",
)  # fmt: skip
"""Where patterns see what students wrote, or what their programs said."""


@pytest.mark.parametrize("path", sorted({p.path for p in PATTERNS if p.path.startswith(STRANGERS)}))
def test_patterns_take_time_in_proportion_to_the_text(path: str) -> None:
    for pattern in (p for p in PATTERNS if p.path == path and p.text not in SHORT):
        compiled = re.compile(pattern.text, pattern.flags)
        worst: list[int] | None = None
        for size in SIZES:
            timed = []
            for number, made in enumerate(texts(pattern, size)):
                if worst is None or number in worst:
                    text = cut.cut(made) if path in IN_LINES else made
                    times = times_of_reading(pattern, compiled, text)
                    assert times < MOST, (pattern.id, pattern.text, size, made[:60])
                    timed.append((times, number))
            timed.sort(reverse=True)
            worst = [number for _, number in timed[: KEPT.get(size, 1)]]
