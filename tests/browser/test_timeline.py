"""Timelines of rollouts in real Chromium: wide, on a phone, in the dark, on paper."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from grader.modules.rollout import proofs
from grader.modules.rollout.trace import Trace
from grader.reports import feedback
from tests.browser import instruments
from tests.browser.conftest import OnPaper, Page
from tests.unit import made_trace as made
from tests.unit.reports.test_timeline import with_rollouts

pytestmark = pytest.mark.browser

SHOWN = "getComputedStyle(e).display !== 'none'"


def proven(name: str) -> Trace:
    trace = made.recorded(name)
    found = (
        proofs.parallelism_kept(trace, 2),
        proofs.order_kept(trace, "start-first"),
        proofs.never_below(trace, 4),
        proofs.no_failed_request(trace),
    )
    return dataclasses.replace(trace, proofs=found)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    names = ("update", "stop_first", "automatic", "failover")
    file = tmp_path / "feedback.html"
    feedback.write(with_rollouts(*map(proven, names)), file)
    return file


@pytest.mark.parametrize(("width", "kind"), [(320, "narrow"), (360, "narrow"), (1100, "wide")])
def test_one_picture_of_each_is_shown_and_fits(
    page: Page, file: Path, width: int, kind: str
) -> None:
    page.open(file, width=width, height=740)
    shown = page.js(
        f"return [...document.querySelectorAll('svg.ro')].filter(e => {SHOWN})"
        ".map(e => e.getAttribute('class'))"
    )
    assert shown == [f"ro ro-{kind}"] * 4
    assert page.js(instruments.TOO_WIDE, width) == []
    assert [entry["message"] for entry in page.logs("browser")] == []
    page.shot(f"timeline-{width}")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_words_on_bars_stand_out(page: Page, file: Path, dark: bool) -> None:
    page.open(file, dark=dark)
    pairs = page.js(
        "return [...document.querySelectorAll('svg.ro-wide .ro-ink')].map(e => {"
        " const css = [...e.classList].find(c => /^ro-v/.test(c));"
        " const bar = e.closest('svg').querySelector('rect.' + css);"
        " return [getComputedStyle(e).fill, getComputedStyle(bar).fill]})"
    )
    assert len(pairs) > 8
    for ink, bar in pairs:
        a, b = sorted((instruments.luminance(ink), instruments.luminance(bar)))
        assert (b + 0.05) / (a + 0.05) >= 4.5, (ink, bar)
    page.shot(f"timeline-{'dark' if dark else 'light'}")


def test_names_on_pictures_do_not_overlap(page: Page, file: Path) -> None:
    for width in (360, 1100):
        page.open(file, width=width, height=740)
        clashes = page.js(
            "const found = [];"
            f"for (const svg of [...document.querySelectorAll('svg.ro')].filter(e => {SHOWN})) {{"
            " const texts = [...svg.querySelectorAll('text')].map(e => [e.textContent,"
            "   e.getBoundingClientRect()]);"
            " texts.forEach(([a, p], i) => texts.slice(i + 1).forEach(([b, q]) => {"
            "   const w = Math.min(p.right, q.right) - Math.max(p.left, q.left);"
            "   const h = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);"
            "   if (w > 1 && h > 4) found.push(a + ' / ' + b) })) } return found"
        )
        assert clashes == []


def test_each_picture_has_words_that_stand_for_it(page: Page, file: Path) -> None:
    page.open(file)
    told = page.js(
        "return [...document.querySelectorAll('svg.ro')].map(e =>"
        " document.getElementById(e.getAttribute('aria-labelledby')).textContent)"
    )
    assert len(told) == 8
    assert all("slots" in words for words in told)


def test_paper_shows_the_wide_picture_and_the_text(
    page: Page, file: Path, on_paper: OnPaper
) -> None:
    page.open(file, width=360, height=740)
    words = on_paper(page, "timeline")
    assert "batch 1" in words
    assert "the swarm rolled it back by itself" in words
    assert "version 2.0 on worker2: made" in words
