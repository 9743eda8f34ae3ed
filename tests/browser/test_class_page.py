"""The class page in real Chromium: sorted and chosen from without a script, and for every screen.

Pictures of it are kept: `DRYDOCK_ARTIFACTS=/tmp/pictures pytest -m browser` to look at them.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from grader import record
from grader.classroom.reports import classpage
from grader.classroom.results import Results
from grader.reports import feedback
from tests.browser import instruments
from tests.browser.conftest import OnPaper, Page
from tests.unit import sample_class as made

pytestmark = pytest.mark.browser

SHOWN = """
return [...document.querySelectorAll('.everybody tbody tr')]
  .filter(row => row.checkVisibility())
  .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)
  .map(row => [...row.children].map(cell => cell.innerText.trim()));
"""
"""The rows of the table of everybody, from top to bottom as one sees them."""


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory) -> Results:
    people = made.make(tmp_path_factory.mktemp("a class"))
    for entry, found in people.graded():
        if found:
            feedback.write(found, people.feedback_file(entry.person.id))
    return people


@pytest.fixture(scope="module")
def named(everybody: Results) -> Path:
    return classpage.write(everybody, made.LAB)


@pytest.fixture(scope="module")
def anonymous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("anonymous")
    return classpage.write(made.make(folder), made.LAB, anonymous=True)


@pytest.fixture(params=["named", "anonymous"])
def file(request: pytest.FixtureRequest) -> Path:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Path)
    return found


def test_page_loads_alone_and_without_a_complaint(page: Page, file: Path) -> None:
    page.open(file)
    assert [entry["message"] for entry in page.logs("browser")] == []
    assert page.requests() == [file.as_uri()]
    assert page.driver.title == f"{made.LAB.title}: the class"


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_nothing_is_cut_off_or_scrolls_sideways(page: Page, file: Path, width: int) -> None:
    page.open(file, width=width, height=740)
    page.js("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert page.js(instruments.TOO_WIDE, width) == []
    page.shot(f"class-{file.parent.parent.name[:4]}-{width}")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(page: Page, named: Path, dark: bool) -> None:
    page.open(named, width=1280, dark=dark)
    page.js("document.querySelectorAll('details').forEach(e => e.open = true)")
    measured = page.js(instruments.CONTRASTS)
    assert len(measured) > 200
    assert [entry for entry in measured if entry["contrast"] < 4.5] == []
    ground = page.js("return getComputedStyle(document.body).backgroundColor")
    assert (instruments.luminance(ground) < 0.1) is dark
    page.shot(f"class-{'dark' if dark else 'light'}")


def test_drawing_stands_out_in_the_dark(page: Page, named: Path) -> None:
    for dark in (False, True):
        page.open(named, dark=dark)
        ground = instruments.luminance(
            page.js("return getComputedStyle(document.body).backgroundColor")
        )
        for part in (".column", ".median rect", ".got"):
            fill = page.js(f"return getComputedStyle(document.querySelector('{part}')).fill")
            low, high = sorted((instruments.luminance(fill), ground))
            assert (high + 0.05) / (low + 0.05) >= 3, part


def test_columns_of_the_histogram_are_as_high_as_the_class_is_many(page: Page, named: Path) -> None:
    page.open(named)
    columns = page.js(
        "return [...document.querySelectorAll('.column')].map("
        "(e, n) => [e.getBBox().height, +document.querySelectorAll('.count')[n].textContent])"
    )
    assert sum(count for _, count in columns) == 26
    tallest = max(count for _, count in columns)
    for height, count in columns:
        assert height == pytest.approx(150 * count / tallest, abs=0.5)


def test_everybody_can_be_sorted_both_ways_by_the_keyboard(page: Page, named: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    page.open(named)
    ids = [row[0].split()[0] for row in page.js(SHOWN)]
    assert len(ids) == 32
    assert ids == sorted(ids)
    first = page.driver.find_element("id", "sort-0")
    first.send_keys(Keys.ARROW_RIGHT)
    points = [row[1] for row in page.js(SHOWN)]
    numbers = [-1.0 if shown == "–" else float(shown) for shown in points]
    assert numbers == sorted(numbers)
    assert numbers[0] < 0 < numbers[-1]
    page.driver.find_element("id", "down").send_keys(Keys.SPACE)
    assert [row[1] for row in page.js(SHOWN)] == points[::-1]
    page.shot("class-sorted")


def test_everybody_can_be_chosen_from_by_state(page: Page, named: Path) -> None:
    page.open(named)
    seen = {}
    for choice in ("graded", "open", "missing", "remarks", "like", "all"):
        page.js(f"document.getElementById('show-{choice}').click()")
        seen[choice] = len(page.js(SHOWN))
    assert seen == {"graded": 26, "open": 4, "missing": 2, "remarks": 3, "like": 6, "all": 32}


def test_columns_stay_in_line_with_their_headers(page: Page, named: Path) -> None:
    page.open(named, width=1280)
    uneven = page.js(
        "const heads = [...document.querySelectorAll('.everybody thead th')];"
        "return [...document.querySelectorAll('.everybody tbody tr')].filter(row =>"
        " [...row.children].some((cell, n) => Math.abs(cell.getBoundingClientRect().right"
        " - heads[n].getBoundingClientRect().right) > 1)).length"
    )
    assert uneven == 0


def test_a_link_leads_to_the_student_s_page(page: Page, named: Path) -> None:
    page.open(named)
    page.driver.find_element("link text", made.student(0)).click()
    assert made.student(0) in page.driver.title
    assert page.driver.current_url.endswith(f"/feedback/{made.student(0)}.html")


def test_hostile_names_run_nothing(page: Page, named: Path) -> None:
    page.open(named)
    assert "owned" not in page.driver.title
    assert page.js("return document.scripts.length") == 0
    assert page.js("return document.querySelectorAll('th script, td script, li b b').length") == 0
    assert "{{ 7 * 7 }}" in page.js("return document.body.textContent")


def test_everything_has_a_name_for_those_who_listen(page: Page, file: Path) -> None:
    page.open(file)
    assert page.js(instruments.NAMELESS) == []
    assert page.js(instruments.CELLS_WITHOUT_HEADERS) == 0
    unlabelled = page.js(
        "return [...document.querySelectorAll('input')].filter(e => !e.labels.length).length"
    )
    assert unlabelled == 0
    levels = page.js("return [...document.querySelectorAll('h1,h2,h3')].map(e => +e.tagName[1])")
    assert levels[0] == 1
    assert all(later <= before + 1 for before, later in pairwise(levels))


def test_printed_pages_hold_everybody(
    page: Page, named: Path, everybody: Results, on_paper: OnPaper
) -> None:
    page.open(named, dark=True)
    words = on_paper(page, "class")
    for entry in everybody.entries:
        assert entry.person.id in words


def test_an_anonymous_page_names_nobody_in_its_source_either(page: Page, anonymous: Path) -> None:
    page.open(anonymous)
    source = page.driver.page_source
    for number in range(32):
        assert made.student(number) not in source
        assert f"Lastname{number}" not in source
    assert "Student 1" in source
    assert page.js("return document.querySelectorAll('a[href^=\"..\"]').length") == 0


def test_three_hundred_students_are_there_at_once(page: Page, tmp_path: Path) -> None:
    people = made.make(tmp_path, 300)
    assert all(record.load(people.record_file(made.student(n))) for n in (0, 299))
    page.open(classpage.write(people, made.LAB))
    assert len(page.js(SHOWN)) == 302
    milliseconds = page.js(
        "const t = performance.timing; return t.domContentLoadedEventEnd - t.navigationStart"
    )
    print(f"300 students: {milliseconds} ms until the page is there")
    assert [entry["message"] for entry in page.logs("browser")] == []
