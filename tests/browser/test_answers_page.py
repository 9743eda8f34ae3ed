"""The answers page in real Chromium: readable anywhere, and nothing in an answer runs.

Pictures of it are kept: `DRYDOCK_ARTIFACTS=/tmp/pictures pytest -m browser` to look at them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.classroom.marking import answers, marks
from grader.classroom.reports import answers as answers_page
from grader.classroom.results import Results
from grader.files.private import write_text
from tests.browser import instruments
from tests.browser.conftest import OnPaper, Page
from tests.unit import graded_class, sample_record
from tests.unit.graded_class import ADA, BJOERN, IDS, LAB, QUESTIONS

pytestmark = pytest.mark.browser

Rendered = Callable[..., Path]
LONG = "\n\n".join(
    [
        "Microservices are small programs that together make one application.",
        "- each has **one** task,\n- each has its own data,\n- they talk over HTTP.",
        "What it costs: `docker compose up` starts more of them, " + "and so on, " * 120,
    ]
)
HOSTILE = (
    f"{sample_record.HOSTILE}\n<script>document.title='owned'</script>\n"
    "<img src=http://example.org/x.png onerror=\"document.title='owned'\">\n"
    "<style>body{display:none}</style></pre></article><h2>Question 9</h2>\n"
    "[a](javascript:alert(1)) ![b](http://example.org/y.png) " + "W" * 3000
)


@pytest.fixture
def rendered(tmp_path: Path) -> Rendered:
    """`rendered(anonymous=True)`: the page of the sample class, as a file."""

    def render(*, anonymous: bool = False) -> Path:
        results = _class(tmp_path / "results")
        sheets = {
            entry.person.id: answers.read(results.submission(entry.person.id), IDS)
            for entry in results.entries
            if entry.refused is None
        }
        given = marks.read(results, QUESTIONS)
        file = tmp_path / "a folder with spaces" / "answers.html"
        page = answers_page.render(results, LAB, QUESTIONS, sheets, given, anonymous=anonymous)
        write_text(file, page)
        return file

    return render


def _class(folder: Path) -> Results:
    results = graded_class.make(folder)
    same = "The same thing in other words: one program for each task, and they talk over HTTP."
    graded_class.worksheet(results, ADA.id, {IDS[0]: LONG, IDS[1]: HOSTILE, IDS[2]: same})
    graded_class.worksheet(results, BJOERN.id, {IDS[0]: "Klein.", IDS[2]: same.upper()})
    entries = list(results.entries)
    carla = dataclasses.replace(entries[3].person, name=sample_record.HOSTILE)
    entries[3] = dataclasses.replace(entries[3], person=carla)
    results = dataclasses.replace(results, entries=tuple(entries))
    graded_class.worksheet(results, carla.id, {IDS[0]: "x", IDS[1]: "y", IDS[2]: "z", IDS[3]: "w"})
    return results


def test_page_loads_alone_and_without_a_complaint(page: Page, rendered: Rendered) -> None:
    file = rendered()
    page.open(file)
    assert [entry["message"] for entry in page.logs("browser")] == []
    assert page.requests() == [file.as_uri()]


def test_nothing_in_an_answer_runs_or_becomes_part_of_the_page(
    page: Page, rendered: Rendered
) -> None:
    page.open(rendered())
    assert page.js("return document.title") == "Practical 4: Docker II: answers to mark"
    assert page.js("return getComputedStyle(document.body).display") != "none"
    assert page.js("return document.querySelectorAll('script, img, iframe, object').length") == 0
    assert page.js("return document.querySelectorAll('section h2').length") == len(QUESTIONS)
    assert page.js("return document.querySelectorAll('.words *').length") == 0
    shown = page.js(
        "return [...document.querySelectorAll('.words')].map(e => e.textContent)"
        ".filter(t => t.includes('<script>'))"
    )
    assert len(shown) == 1
    assert "</pre></article>" in shown[0]
    assert "\x1b" not in shown[0]
    assert "\u202e" not in shown[0]


@pytest.mark.parametrize("width", [320, 400, 1100])
def test_nothing_is_cut_off_or_scrolls_sideways(page: Page, rendered: Rendered, width: int) -> None:
    page.open(rendered(), width=width, height=740)
    assert page.js(instruments.TOO_WIDE, width) == []
    page.shot(f"answers-{width}")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(page: Page, rendered: Rendered, dark: bool) -> None:
    page.open(rendered(), dark=dark)
    measured = page.js(instruments.CONTRASTS)
    assert len(measured) > 20
    assert [entry for entry in measured if entry["contrast"] < 4.5] == []
    page.shot(f"answers-{'dark' if dark else 'light'}")


def test_each_question_has_its_rubric_and_all_its_answers(page: Page, rendered: Rendered) -> None:
    page.open(rendered())
    sections = page.js(
        "return [...document.querySelectorAll('section')].map(s => ["
        "s.querySelector('h2').textContent, s.querySelectorAll('.rubric li').length,"
        "[...s.querySelectorAll('.answer h3')].map(e => e.firstChild.textContent.trim())])"
    )
    assert [section[0] for section in sections] == [f"{q.title}: {q.text}" for q in QUESTIONS]
    assert [section[1] for section in sections] == [len(q.criteria) for q in QUESTIONS]
    assert sections[0][2] == ["s0000001", "s0000002", "s0000003"]
    assert sections[3][2] == ["s0000003"]
    text = page.js("return document.body.innerText")
    assert "No answer: s0000001, s0000002." in text
    assert "s0000004: The archive has upward paths." in text
    assert "s0000006: There is no worksheet.ipynb in the submission." in text


def test_marks_and_twins_are_shown(page: Page, rendered: Rendered) -> None:
    page.open(rendered())
    text = page.js("return document.body.innerText")
    assert "4 of 5" in text
    assert "Comment: Nearly all." in text
    assert "not marked, of 5" in text
    assert "Word for word the same: s0000002." in text
    assert "Word for word the same: s0000001." in text


def test_anonymous_page_names_nobody(page: Page, rendered: Rendered) -> None:
    file = rendered(anonymous=True)
    source = file.read_text(encoding="utf-8")
    for word in ("s0000", "Lovelace", "Ødegård", "example.org/"):
        assert word not in source.replace("http://example.org/", "")
    page.open(file)
    names = page.js("return [...document.querySelectorAll('.answer h3')].map(e => e.innerText)")
    assert len(names) == 3 + 2 + 4
    assert len(set(names)) == 3
    assert all(name.startswith("A-") for name in names)
    page.shot("answers-anonymous")


def test_links_lead_to_their_questions(page: Page, rendered: Rendered) -> None:
    page.open(rendered())
    assert page.js(
        "return [...document.querySelectorAll('nav a')].map("
        "a => document.querySelector(a.getAttribute('href')).textContent)"
    ) == [f"{q.title}: {q.text}" for q in QUESTIONS]


def test_printed_page_holds_every_answer(page: Page, rendered: Rendered, on_paper: OnPaper) -> None:
    page.open(rendered())
    words = on_paper(page, "answers")
    assert "Microservices are small programs that together make one application." in words
    assert "Discuss the key features of Docker Swarm." in words
