"""The worksheet's pictures in real Chromium: as drawings, and in the notebook in JupyterLab.

Pictures of them are kept: `DRYDOCK_ARTIFACTS=/tmp/pictures pytest -m browser` to look at them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.handout import workspace
from grader.lab import labfile
from grader.lab.model import Lab
from grader.lab.variant import variant
from tests.browser import drawings, jupyter
from tests.browser.conftest import Page
from tests.unit.handout.test_pictures import DRAWN, kinds

pytestmark = pytest.mark.browser

LAB3, LAB4 = labfile.load("lab3"), labfile.load("lab4")
DRAWN3 = {"image", "layers", "registry"}
LONG = {
    "lab3": ("site_name", "site_folder", "greeting", "registry_name", "repository"),
    "lab4": ("counter_key", "front_network", "back_network", "db_volume", "swarm_mesh_service"),
}


def longest(count: int, lab: Lab = LAB4) -> list[str]:
    """The students with the longest names in their pictures."""

    def length(student: str) -> int:
        values = variant(lab, student)
        return sum(len(str(values[name])) ** 2 for name in LONG[lab.id])

    return sorted((f"s{n:07}" for n in range(400)), key=length)[-count:]


STUDENTS = sorted({*kinds("app_replicas", "app_order"), *kinds("counter_replicas"), *longest(3)})


@pytest.fixture(
    scope="module",
    params=[(LAB4, student) for student in STUDENTS] + [(LAB3, s) for s in longest(3, LAB3)],
    ids=lambda param: f"{param[0].id}-{param[1]}",
)
def pictures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a student's pictures, each in a page of its own where it can be measured."""
    lab, student = request.param
    folder = tmp_path_factory.mktemp(f"{lab.id}-{student}-")
    for name, content in workspace.contents(lab, student).items():
        if name.startswith("pictures/"):
            page = f"<!DOCTYPE html><meta charset='utf-8'>{content.decode('utf-8')}"
            (folder / f"{Path(name).stem}.html").write_text(page, encoding="utf-8")
    return folder


def test_words_stand_where_they_belong_and_can_be_read(page: Page, pictures: Path) -> None:
    files = sorted(pictures.glob("*.html"))
    assert {file.stem for file in files} == (DRAWN3 if "lab3" in pictures.name else DRAWN)
    for file in files:
        page.open(file)
        assert page.js(drawings.MISPLACED) == [], file.stem
        measured = page.js(drawings.CONTRASTS)
        assert len(measured) > 8
        assert [m for m in measured if m["contrast"] < 4.5 or m["size"] < 9.5] == [], file.stem
        assert page.requests() == [file.as_uri()]
        page.shot(f"drawing-{file.stem}-{pictures.name}")


BAD = """<!DOCTYPE html><svg width="200" height="100" xmlns="http://www.w3.org/2000/svg">
<style>text { font: 13px sans-serif } path { fill: none; stroke: #000 }</style>
<rect fill="#fff" width="200" height="100"/><rect fill="#ccc" x="20" y="20" width="40" height="20"/>
<text x="22" y="35">far too long</text><text x="60" y="37">close</text>
<text x="150" y="60">outside the card</text><path d="M0 80H200"/><text x="20" y="84">through</text>
<text x="20" y="60" fill="#aaa">pale</text></svg>"""


def test_the_instruments_see_what_is_wrong(page: Page, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text(BAD, encoding="utf-8")
    page.open(tmp_path / "bad.html")
    assert page.js(drawings.MISPLACED) == [
        "far too long: sticks out of its box",
        "far too long: runs into close",
        "outside the card: leaves the picture",
        "through: a line runs through it",
    ]
    low = [m["text"] for m in page.js(drawings.CONTRASTS) if m["contrast"] < 4.5]
    assert low == ["outside the card", "pale"]


@pytest.fixture(scope="module")
def worksheet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., None]]:
    """`worksheet(page, dark, width)`: opens it in JupyterLab, on a screen of that width."""
    place = tmp_path_factory.mktemp("jupyter")
    root, home = place / "Meine Übung (2)", place / "home"
    for lab in (LAB3, LAB4):
        workspace.write(lab, longest(1, lab)[0], root / lab.id)
    with jupyter.server(root, home) as address:

        def show(
            page: Page, dark: bool, width: int, lab: str = "lab4", drawn: set[str] = DRAWN
        ) -> None:
            jupyter.choose_theme(home, dark)
            page.cdp(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=900,
                deviceScaleFactor=1,
                mobile=False,
            )
            page.driver.get(f"{address}/lab/tree/{lab}/worksheet.ipynb?token={jupyter.TOKEN}&reset")
            until(page, f"return document.body.dataset.jpThemeName === {jupyter.THEMES[dark]!r}")
            until(page, f"return {IMAGES}.length === {len(drawn)} && {LOADED}")

        yield show


IMAGES = "[...document.querySelectorAll('.jp-Notebook .jp-MarkdownOutput img')]"
LOADED = f"{IMAGES}.every(i => i.src && i.complete)"
"""A picture without an address, as JupyterLab has it at first, counts as complete, too."""


def until(page: Page, condition: str) -> None:
    end = time.monotonic() + jupyter.PATIENCE
    while not page.js(condition):
        assert time.monotonic() < end, f"Never came true: {condition}"
        time.sleep(0.2)


def test_a_page_made_of_the_worksheet_shows_them(page: Page, tmp_path: Path) -> None:
    """As `jupyter nbconvert` makes it, beside the pictures and from disk."""
    from nbconvert import HTMLExporter

    workspace.write(LAB4, longest(1)[0], tmp_path / "mine")
    body, _ = HTMLExporter().from_filename(str(tmp_path / "mine" / "worksheet.ipynb"))
    file = tmp_path / "mine" / "worksheet.html"
    file.write_text(body, encoding="utf-8")
    page.open(file)
    shown = page.js("return [...document.images].map(i => [i.naturalWidth, i.width, i.alt.length])")
    assert len(shown) == len(DRAWN)
    assert all(natural == width == 720 and words > 60 for natural, width, words in shown)


def settled(page: Page, question: str) -> Any:
    """The answer once it is the same twice: the page has stopped moving."""
    before, end = None, time.monotonic() + jupyter.PATIENCE
    while (answer := page.js(question)) != before:
        assert time.monotonic() < end, f"Never came to rest: {answer}"
        before = answer
        time.sleep(0.5)
    return answer


@pytest.mark.parametrize(
    ("lab", "drawn", "dark", "width"),
    [
        ("lab4", DRAWN, False, 1366),
        ("lab4", DRAWN, True, 900),
        ("lab3", DRAWN3, False, 1366),
    ],
    ids=lambda value: {False: "light", True: "dark"}[value] if isinstance(value, bool) else None,
)
def test_jupyterlab_shows_every_picture(
    page: Page,
    worksheet: Callable[..., None],
    lab: str,
    drawn: set[str],
    dark: bool,
    width: int,
) -> None:
    worksheet(page, dark, width, lab, drawn)
    seen: list[dict[str, Any]] = settled(
        page,
        f"return {IMAGES}.map(i => {{ const cell = i.closest('.jp-MarkdownOutput');"
        " const b = i.getBoundingClientRect(), c = cell.getBoundingClientRect();"
        " return {name: new URL(i.src).pathname.split('/').pop(), natural: i.naturalWidth,"
        " shape: i.naturalHeight / i.naturalWidth - b.height / b.width, shown: b.width,"
        " words: i.alt, over: b.right - c.right, wide: cell.scrollWidth - cell.clientWidth}})",
    )
    assert {image["name"] for image in seen} == {f"{name}.svg" for name in drawn}
    for image in seen:
        assert image["natural"] == 720, image
        assert image["shown"] == 720 if width == 1366 else image["shown"] > 400, image
        assert abs(image["shape"]) < 0.01, image
        assert image["over"] <= 0, image
        assert image["wide"] <= 0, image
        assert len(image["words"]) > 60, image
    outer = "document.querySelector('.jp-WindowedPanel-outer')"
    assert page.js(f"return {outer}.scrollWidth - {outer}.clientWidth") <= 0
    for name in sorted(drawn):
        # Cells get their heights as they come into view, so one jump may end beside it.
        until(
            page,
            f"const i = {IMAGES}.find(i => i.src.includes('/{name}.svg'));"
            " i.scrollIntoView({block: 'center'}); const b = i.getBoundingClientRect();"
            " return document.elementFromPoint(b.left + b.width / 2, b.top + b.height / 2) === i",
        )
        shot = page.artifacts / f"jupyterlab-{name}-{'dark' if dark else 'light'}-{width}.png"
        page.driver.save_screenshot(str(shot))


def test_the_themes_differ_and_pictures_do_not(page: Page, worksheet: Callable[..., None]) -> None:
    """In the dark, too, a picture's words stand on the picture's own ground, not on the page's."""
    grounds = {}
    for dark in (False, True):
        worksheet(page, dark, 1366)
        grounds[dark] = page.js(
            "const i = " + IMAGES + "[0]; const c = document.createElement('canvas');"
            "c.width = 720; c.height = 40; const p = c.getContext('2d'); p.drawImage(i, 0, 0);"
            "return [[...p.getImageData(300, 12, 1, 1).data], getComputedStyle(document.body)"
            ".getPropertyValue('--jp-layout-color0').trim()]"
        )
    assert grounds[False][0] == grounds[True][0] == [238, 241, 244, 255]
    assert grounds[False][1] != grounds[True][1]
