"""A data set for analysis.py, and the results to find in it.

    >>> data = data_set("any text")
    >>> sorted(data.files)
    ['curve.csv', 'signal.csv', 'system.json', 'table.csv']
    >>> data.expected["frequencies"]
    [76.0, 89.0]

Each part is made from numbers that are drawn first, with SHA-256 over the text: what an analysis
finds is compared with those, and nothing is computed here as analysis.py computes it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

SAMPLES, RATE = 400, 200
"""Of the signal: how many samples, and how many a second. So its spectrum has steps of 0.5 Hz."""

UNKNOWNS = 5
GROUPS = ("barnacle", "gannet", "herring", "mussel", "narwhal", "oyster", "puffin", "urchin")
ROWS = 60
POINTS = 41

PARTS = {
    "frequencies": ("the signal's two strongest frequencies in Hz", 0.0, 0.25),
    "amplitudes": ("the amplitudes of those frequencies", 0.01, 0.0),
    "solution": ("the solution of the linear system", 0.0, 1e-6),
    "means": ("the mean of each group of the table", 0.0, 1e-6),
    "fit": ("the parameters of the fitted curve", 0.005, 0.0),
}
"""What each part of results.json is; how far a number may be off, relatively and absolutely."""


@dataclass(frozen=True)
class DataSet:
    """`files` by name, as they lie in the data folder; `expected` as results.json should be."""

    files: dict[str, bytes]
    expected: dict[str, Any]


class _Drawn:
    """Numbers that depend on a text and on their own name, and on nothing else."""

    def __init__(self, text: str) -> None:
        self.text = text

    def whole(self, name: str, first: int, last: int) -> int:
        """A whole number from `first` to `last`, both possible."""
        drawn = hashlib.sha256(f"{self.text}\0{name}".encode()).digest()
        return first + int.from_bytes(drawn, "big") % (last - first + 1)


def data_set(text: str) -> DataSet:
    """The data set that belongs to `text`: the same one on every machine."""
    drawn = _Drawn(text)
    signal, of_signal = _signal(drawn)
    system, solution = _system(drawn)
    table, means = _table(drawn)
    curve, fit = _curve(drawn)
    return DataSet(
        {"signal.csv": signal, "system.json": system, "table.csv": table, "curve.csv": curve},
        {**of_signal, "solution": solution, "means": means, "fit": fit},
    )


def wrong(found: Any, expected: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What is not as expected in the parsed results.json: (what it is, expected, found)."""
    found = found if isinstance(found, dict) else {}
    return [
        (what, _shown(expected[part]), _shown(found.get(part)))
        for part, (what, relative, absolute) in PARTS.items()
        if not _close(found.get(part), expected[part], relative, absolute)
    ]


def _close(found: Any, expected: Any, relative: float, absolute: float) -> bool:
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and found.keys() == expected.keys()
            and all(_close(found[key], expected[key], relative, absolute) for key in expected)
        )
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(_close(a, b, relative, absolute) for a, b in zip(found, expected, strict=True))
        )
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return False
    return abs(found) < 1e12 and math.isclose(found, expected, rel_tol=relative, abs_tol=absolute)


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value)[:300]


def _signal(drawn: _Drawn) -> tuple[bytes, dict[str, list[float]]]:
    """Two sines upon a constant; both have whole periods in the time that is sampled."""
    strong = drawn.whole("strong frequency", 4, 90)
    weak = 4 + (strong - 4 + drawn.whole("distance", 10, 77)) % 87
    amplitudes = [drawn.whole("strong", 300, 500) / 100, drawn.whole("weak", 80, 200) / 100]
    offset = drawn.whole("offset", 1, 9)
    phase = drawn.whole("phase", 0, 359)

    def value(time: float) -> float:
        first = amplitudes[0] * math.sin(2 * math.pi * strong * time + math.radians(phase))
        return offset + first + amplitudes[1] * math.sin(2 * math.pi * weak * time)

    times = [number / RATE for number in range(SAMPLES)]
    rows = ((f"{time:.3f}", f"{value(time):.6f}") for time in times)
    expected = {"frequencies": [float(strong), float(weak)], "amplitudes": amplitudes}
    return _csv(("time", "value"), rows), expected


def _system(drawn: _Drawn) -> tuple[bytes, list[float]]:
    """Equations made from their solution. The diagonal is large, so there is no other one."""
    numbers = range(UNKNOWNS)
    solution = [drawn.whole(f"x{i}", -40, 40) / 4 for i in numbers]
    matrix = [
        [drawn.whole(f"a{i},{j}", -9, 9) + (60 if i == j else 0) for j in numbers] for i in numbers
    ]
    right = [sum(a * x for a, x in zip(row, solution, strict=True)) for row in matrix]
    return (json.dumps({"A": matrix, "b": right}) + "\n").encode(), solution


def _table(drawn: _Drawn) -> tuple[bytes, dict[str, float]]:
    """Values with two decimals in four groups, mixed; each group has some."""
    first = drawn.whole("first group", 0, len(GROUPS) - 1)
    groups = [GROUPS[(first + 3 * i) % len(GROUPS)] for i in range(4)]
    named = groups + [groups[drawn.whole(f"group {i}", 0, 3)] for i in range(ROWS - 4)]
    cents = [drawn.whole(f"value {i}", 100, 99_999) for i in range(ROWS)]
    rows = [(group, f"{cent / 100:.2f}") for group, cent in zip(named, cents, strict=True)]
    means = {
        group: float(statistics.mean(Fraction(c, 100) for n, c in zip(named, cents, strict=True)
                                     if n == group))
        for group in sorted(groups)
    }  # fmt: skip
    return _csv(("group", "value"), rows), means


def _curve(drawn: _Drawn) -> tuple[bytes, dict[str, float]]:
    """Points of a curve, with no noise but that of six decimals."""
    a, b, c = (
        drawn.whole("a", 200, 900) / 100,
        drawn.whole("b", 20, 90) / 100,
        drawn.whole("c", 100, 500) / 100,
    )
    xs = [number / 4 for number in range(POINTS)]
    rows = ((f"{x:.2f}", f"{a * math.exp(-b * x) + c:.6f}") for x in xs)
    return _csv(("x", "y"), rows), {"a": a, "b": b, "c": c}


def _csv(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(rows)
    return file.getvalue().encode()
