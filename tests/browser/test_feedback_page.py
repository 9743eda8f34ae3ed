"""The feedback page in real Chromium: on a screen, a phone, in the dark, on paper, by keyboard.

Pictures of it are kept: `DRYDOCK_ARTIFACTS=/tmp/pictures pytest -m browser` to look at them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.browser import instruments
from tests.browser.conftest import OnPaper, Page

pytestmark = pytest.mark.browser

Rendered = Callable[[str], Path]
SAMPLES = ["typical", "full_marks", "no_engine", "hostile"]


@pytest.fixture(params=SAMPLES)
def file(request: pytest.FixtureRequest, rendered: Rendered) -> Path:
    return rendered(request.param)


def test_page_loads_alone_and_without_a_complaint(page: Page, file: Path) -> None:
    page.open(file)
    assert [entry["message"] for entry in page.logs("browser")] == []
    assert page.requests() == [file.as_uri()]


@pytest.mark.parametrize("width", [320, 360, 400, 768, 1100])
def test_nothing_is_cut_off_or_scrolls_sideways(page: Page, file: Path, width: int) -> None:
    page.open(file, width=width, height=740)
    assert page.js(instruments.TOO_WIDE, width) == []
    assert page.js("return innerWidth") == width
    page.shot(f"{file.stem}-{width}")


def test_open_logs_fit_a_phone(page: Page, rendered: Rendered) -> None:
    page.open(rendered("hostile"), width=360)
    opened = page.js(
        "const d = [...document.querySelectorAll('details')];"
        "d.forEach(e => e.open = true); return d.length"
    )
    assert opened > 0
    assert page.js(instruments.TOO_WIDE, 360) == []
    page.shot("hostile-360-open")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(page: Page, file: Path, dark: bool) -> None:
    page.open(file, dark=dark)
    page.js("document.querySelectorAll('details').forEach(e => e.open = true)")
    measured = page.js(instruments.CONTRASTS)
    assert len(measured) > 20
    assert [entry for entry in measured if entry["contrast"] < 4.5] == []
    page.shot(f"{file.stem}-{'dark' if dark else 'light'}")


def test_dark_is_dark_and_light_is_light(page: Page, rendered: Rendered) -> None:
    file = rendered("typical")
    page.open(file, dark=True)
    ground = page.js("return getComputedStyle(document.body).backgroundColor")
    assert instruments.luminance(ground) < 0.02
    assert instruments.luminance(page.js("return getComputedStyle(document.body).color")) > 0.6
    page.open(file, dark=False)
    ground = page.js("return getComputedStyle(document.body).backgroundColor")
    assert instruments.luminance(ground) > 0.9


def test_paper_is_white_and_shows_what_is_folded(page: Page, rendered: Rendered) -> None:
    page.open(rendered("typical"), dark=True, media="print")
    ground = page.js("return getComputedStyle(document.body).backgroundColor")
    assert instruments.luminance(ground) > 0.99
    measured = page.js(instruments.CONTRASTS)
    assert [entry for entry in measured if entry["contrast"] < 4.5] == []
    heights = page.js(
        "return [...document.querySelectorAll('details:not([open]) pre')].map(e => e.offsetHeight)"
    )
    assert heights
    assert min(heights) > 100


def test_printed_pages_hold_every_word(page: Page, rendered: Rendered, on_paper: OnPaper) -> None:
    page.open(rendered("typical"))
    words = on_paper(page, "typical")
    assert "Unable to locate package php-fpn" in words
    assert re.search(r"failed\s+0 of 1.5", words)
    assert "23 of 40.5 points" in words


def test_outcomes_are_told_by_sign_and_word(page: Page, rendered: Rendered) -> None:
    page.open(rendered("typical"))
    told = page.js(
        "return [...document.querySelectorAll('.check')].map(e => [e.className,"
        " e.querySelector('.sign').textContent, e.querySelector('.outcome b').textContent])"
    )
    kinds = {tuple(entry) for entry in told}
    assert kinds == {
        ("check passed", "✓", "passed"),
        ("check failed", "✗", "failed"),
        ("check not_graded", "–", "not graded"),
    }


def test_logs_open_by_keyboard(page: Page, rendered: Rendered) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    page.open(rendered("typical"))
    visited: list[str] = []
    for _ in range(60):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        visited.append(page.js("return document.activeElement.tagName"))
        if visited[-1] == "SUMMARY":
            break
    assert visited[0] == "A", "the first stop is the link that skips to the feedback"
    assert visited[-1] == "SUMMARY"
    assert page.js("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert page.js("return document.querySelectorAll('details[open]').length") == 0
    ActionChains(page.driver).send_keys(Keys.ENTER).perform()
    assert page.js("return document.activeElement.parentElement.open") is True
    assert page.js("return document.querySelector('details[open] pre').offsetHeight") > 100
    ActionChains(page.driver).send_keys(Keys.SPACE).perform()
    assert page.js("return document.querySelectorAll('details[open]').length") == 0


def test_skip_link_is_seen_when_it_is_reached(page: Page, rendered: Rendered) -> None:
    page.open(rendered("typical"), width=360)
    box = "const r = document.querySelector('.skip').getBoundingClientRect(); return r.left"
    assert page.js(box) < -100
    page.js("document.querySelector('.skip').focus()")
    assert page.js(box) >= 0


def test_links_lead_to_their_checks(page: Page, rendered: Rendered) -> None:
    page.open(rendered("typical"))
    links = page.js(
        "return [...document.querySelectorAll('.first h3 a')].map(a => [a.textContent,"
        " document.querySelector(a.getAttribute('href')).textContent])"
    )
    assert len(links) == 3
    assert all(said == found for said, found in links)


def test_structure_for_those_who_do_not_see_it(page: Page, file: Path) -> None:
    page.open(file)
    assert page.js("return document.documentElement.lang") == "en"
    assert page.js("return document.title.trim()") != ""
    landmarks = page.js(
        "return ['body > header', 'main', 'body > footer']"
        ".map(s => document.querySelectorAll(s).length)"
    )
    assert landmarks == [1, 1, 1]
    levels = page.js("return [...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert [b for a, b in pairwise(levels) if b > a + 1] == []
    assert page.js(instruments.NAMELESS) == []
    assert page.js("return [...document.querySelectorAll('table')].length") == 2
    assert page.js(instruments.CELLS_WITHOUT_HEADERS) == 0


def test_names_that_a_screen_reader_reads(page: Page, rendered: Rendered) -> None:
    page.open(rendered("typical"))
    tree = page.cdp("Accessibility.getFullAXTree")["nodes"]
    named = {
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node["ignored"] and "role" in node
    }
    assert ("image", "Drydock") in named
    bar = "A web server with PHP: 5.5 points reached, 2.5 missed, 7 waiting for another check"
    assert ("image", bar) in named
    assert ("region", "First things to do") in named
    assert not any("✓" in name for role, name in named if role == "heading")


def test_hostile_text_runs_nowhere_even_without_the_policy(page: Page, rendered: Rendered) -> None:
    file = rendered("hostile")
    text = file.read_text(encoding="utf-8")
    bare, replaced = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    assert replaced == 1
    for number, content in enumerate([text, bare]):
        probe = file.with_name(f"probe-{number}.html")
        probe.write_text(content, encoding="utf-8")
        page.open(probe)
        assert page.js("return document.title") != "owned"
        assert page.js("return document.querySelectorAll('script, img, iframe').length") == 0
        assert page.requests() == [probe.as_uri()]
        assert "<script>document.title='owned'</script>" in page.js(
            "return document.body.innerText"
        )


def test_policy_stops_what_would_get_through(page: Page, rendered: Rendered) -> None:
    file = rendered("typical")
    evil = "<script>document.title='owned'</script><img src='http://localhost:9/x.png'>"
    text = file.read_text(encoding="utf-8").replace("</main>", f"{evil}</main>")
    file.write_text(text, encoding="utf-8")
    page.open(file)
    assert page.js("return document.title") != "owned"
    refused = [entry["message"] for entry in page.logs("browser")]
    assert len([m for m in refused if "Content Security Policy" in m]) == 2


BAD_PAGE = """<!DOCTYPE html><html><body style="background:#fff"><h1>x</h1>
<p style="color:#aaa">pale words</p><div style="width:2000px">wide</div><a href="#x"></a>
<table><tr><td>1</td></tr></table><img src="http://localhost:9/x.png"></body></html>"""


def test_the_instruments_see_what_is_wrong(page: Page, tmp_path: Path) -> None:
    """No test here passes because it looked at nothing."""
    file = tmp_path / "bad.html"
    file.write_text(BAD_PAGE, encoding="utf-8")
    page.open(file, width=360)
    measured: list[dict[str, Any]] = page.js(instruments.CONTRASTS)
    assert [e["text"] for e in measured if e["contrast"] < 4.5] == ["pale words"]
    assert page.js(instruments.TOO_WIDE, 360) != []
    assert page.js(instruments.NAMELESS) == ["A"]
    assert page.js(instruments.CELLS_WITHOUT_HEADERS) == 1
    assert "http://localhost:9/x.png" in page.requests()
    assert page.logs("browser") != []
