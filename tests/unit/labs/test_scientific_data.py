"""The data of exercise scientific: the same everywhere, solvable, and compared with care."""

from __future__ import annotations

import copy
import csv
import hashlib
import importlib
import io
import json
import math
import statistics
from typing import Any

import pytest

from grader.lab import labfile

LAB = labfile.load("lab4")
TEXTS = [f"student {number}" for number in range(200)]


@pytest.fixture(scope="module")
def module() -> Any:
    return importlib.import_module("labs.lab4.checks.scientific.data")


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_a_text_always_gives_the_same_data(module: Any) -> None:
    found = hashlib.sha256()
    data = module.data_set("sample")
    for name, content in sorted(data.files.items()):
        found.update(name.encode() + b"\0" + content)
    assert data == module.data_set("sample")
    assert data.expected["frequencies"] == [73.0, 38.0]
    assert data.expected["solution"] == [2.75, 10.0, -6.25, 6.0, 8.25]
    assert len({module.data_set(text).files["signal.csv"] for text in TEXTS}) == len(TEXTS)


def test_the_handout_has_the_sample(module: Any) -> None:
    for name, content in module.data_set("sample").files.items():
        assert (LAB.templates / "scientific" / "data" / name).read_bytes() == content


@pytest.mark.parametrize("text", TEXTS[:20])
def test_what_is_expected_is_what_is_in_the_data(module: Any, text: str) -> None:
    """By other ways than those it was made by."""
    data = module.data_set(text)
    wanted = data.expected
    system = json.loads(data.files["system.json"])
    for row, right in zip(system["A"], system["b"], strict=True):
        assert sum(a * x for a, x in zip(row, wanted["solution"], strict=True)) == right
    table = rows(data.files["table.csv"])
    assert {r["group"] for r in table} == set(wanted["means"])
    for group, mean in wanted["means"].items():
        values = [float(r["value"]) for r in table if r["group"] == group]
        assert statistics.fmean(values) == pytest.approx(mean, abs=1e-9)
    fit = wanted["fit"]
    for point in rows(data.files["curve.csv"]):
        y = fit["a"] * math.exp(-fit["b"] * float(point["x"])) + fit["c"]
        assert float(point["y"]) == pytest.approx(y, abs=1e-6)
    signal = [float(r["value"]) for r in rows(data.files["signal.csv"])]
    found = {f / 2: _strength(signal, f) for f in range(1, 200)}
    strongest = sorted(found, key=lambda f: -found[f])[:2]
    assert strongest == wanted["frequencies"]
    assert [found[f] for f in strongest] == pytest.approx(wanted["amplitudes"], abs=1e-5)


def _strength(signal: list[float], periods: int) -> float:
    """The amplitude of so many periods in the whole signal."""
    admission = [2 * math.pi * periods * i / len(signal) for i in range(len(signal))]
    real = sum(v * math.cos(t) for v, t in zip(signal, admission, strict=True))
    imaginary = sum(v * math.sin(t) for v, t in zip(signal, admission, strict=True))
    return 2 * math.hypot(real, imaginary) / len(signal)


def test_what_is_right_or_nearly_so_is_right(module: Any) -> None:
    wanted = module.data_set("sample").expected
    assert module.wrong(wanted, wanted) == []
    found = copy.deepcopy(wanted)
    found["fit"]["b"] *= 1.001
    found["solution"][0] += 1e-9
    found["frequencies"][0] = int(found["frequencies"][0])
    assert module.wrong(found, wanted) == []


@pytest.mark.parametrize("value", [None, "4", True, math.nan, math.inf, [], {}, 0, 10**400])
def test_what_is_wrong_is_told_part_by_part(module: Any, value: Any) -> None:
    wanted = module.data_set("sample").expected
    for part in wanted:
        found = copy.deepcopy(wanted)
        if isinstance(found[part], list):
            found[part][0] = value
        else:
            found[part][next(iter(found[part]))] = value
        ((what, expected, shown),) = module.wrong(found, wanted)
        assert what == module.PARTS[part][0]
        assert expected != shown
        found[part] = value
        assert [w for w, _, _ in module.wrong(found, wanted)] == [what]


@pytest.mark.parametrize("found", [None, [], "text", 3, {}])
def test_nothing_is_wrong_in_all_parts(module: Any, found: Any) -> None:
    assert len(module.wrong(found, module.data_set("sample").expected)) == len(module.PARTS)


def test_swapped_numbers_are_wrong(module: Any) -> None:
    wanted = module.data_set("sample").expected
    found = {**wanted, "frequencies": wanted["frequencies"][::-1]}
    assert len(module.wrong(found, wanted)) == 1


def test_the_checks_know_the_analysis_that_is_handed_out() -> None:
    run = importlib.import_module("labs.lab4.checks.scientific.run")
    given = (LAB.templates / "scientific" / run.GIVEN).read_bytes()
    assert hashlib.sha256(given).hexdigest() == run.GIVEN_SHA256, "then the checks change, too"
