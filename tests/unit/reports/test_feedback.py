"""The feedback page as text; tests/browser looks at it in a browser."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from grader import record
from grader.cli import main
from grader.reports import feedback
from tests.unit import sample_record as sample

SAMPLES = ["typical", "full_marks", "no_engine", "hostile"]
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Outline(HTMLParser):
    """Elements and text of a page; `unclosed` and `stray` end tags show broken nesting."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.stray: list[str] = []
        self.unclosed: list[str] = []
        self._style = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"
        if tag not in VOID:
            self.unclosed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self._style = False
        if tag in ("dt", "dd"):
            self.text += " "
        if self.unclosed and self.unclosed[-1] == tag:
            self.unclosed.pop()
        else:
            self.stray.append(tag)

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.text += data

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.tags if name == tag)


@pytest.fixture(params=SAMPLES)
def page(request: pytest.FixtureRequest) -> str:
    return feedback.render(getattr(sample, request.param)())


def test_page_is_well_formed(page: str) -> None:
    outline = Outline(page)
    assert outline.stray == []
    assert outline.unclosed == []
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {(a["href"] or "")[1:] for a in outline.all("a")}
    labels = {a["aria-labelledby"] for _, a in outline.tags if "aria-labelledby" in a}
    assert targets | labels <= set(ids)


def test_page_asks_for_nothing_outside(page: str) -> None:
    outline = Outline(page)
    assert not {tag for tag, _ in outline.tags} & {
        "script",
        "img",
        "iframe",
        "link",
        "object",
        "embed",
        "form",
        "base",
        "video",
        "audio",
    }
    for tag, attributes in outline.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("src", "srcset", "style", "action"), (tag, name)
            if name == "href":
                assert (value or "").startswith("#")
    style = page[page.index("<style>") : page.index("</style>")]
    assert "@import" not in style
    assert re.findall(r"url\(([^)]*)\)", style) == ["#hatch"]


def test_same_record_gives_the_same_page() -> None:
    code = (
        "import json, sys; from grader import record; from grader.reports import feedback;"
        "sys.stdout.buffer.write(feedback.render("
        "record.from_json(json.loads(sys.stdin.buffer.read()))).encode())"
    )
    data = json.dumps(sample.typical().to_json()).encode()
    pages = {
        subprocess.run(
            [sys.executable, "-c", code],
            input=data,
            capture_output=True,
            check=True,
            timeout=60,
            env={"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C", "PATH": ""},
        ).stdout
        for seed, zone in [("1", "UTC"), ("2", "Asia/Tokyo")]
    }
    assert pages == {feedback.render(sample.typical()).encode()}


def test_every_visible_check_is_there_with_outcome_and_points() -> None:
    shown = " ".join(Outline(feedback.render(sample.typical())).text.split())
    for check in sample.typical().checks:
        if check.visibility == "visible":
            assert check.title.replace("`", "") in shown
    assert "✗ Running provision.sh a second time changes nothing. failed 0 of 1.5" in shown
    assert "✓ nginx and PHP-FPM are installed on the machine. passed 1 of 1" in shown
    assert "– The image serves your page. not graded 0 of 3" in shown
    assert "Expected listen 8473; Found listen 8473; listen 8473; Hint: Write the file" in shown
    assert "E: Unable to locate package php-fpn" in shown
    assert "23 of 40.5 points" in shown


def test_hidden_checks_do_not_show_what_they_are_about() -> None:
    page = feedback.render(sample.typical())
    assert "secret" not in page.lower()
    assert page.count(">A hidden check.</h3>") == 2


def test_what_could_not_be_graded_is_said_at_the_top() -> None:
    page = feedback.render(sample.no_engine())
    shown = " ".join(Outline(page).text.split())
    assert "39 points could not be graded. This does not cost you points" in shown
    assert shown.index("This result is not final") < shown.index("First things to do")
    assert "Run python -m grader engine start as root" in shown
    assert "ImportError: no module named" in shown
    assert "This result is not final" not in feedback.render(sample.typical())


def test_where_and_how_long() -> None:
    shown = " ".join(Outline(feedback.render(sample.typical())).text.split())
    assert "isolated by user namespaces; Docker Engine 26.1.5" in shown
    assert "A web server with PHP 2.3 s 24 s 15 s 3.0 s 27 s" in shown
    assert "graded 24 November 2026, 09:41 (UTC+01:00)" in shown


def test_full_marks_leave_nothing_to_do() -> None:
    shown = " ".join(Outline(feedback.render(sample.full_marks())).text.split())
    assert "15 of 15 points" in shown
    assert "Nothing to do: every check that could be graded has passed." in shown


def test_hostile_text_stays_text() -> None:
    page = feedback.render(sample.hostile())
    plain = Outline(feedback.render(sample.full_marks()))
    outline = Outline(page)
    assert {tag for tag, _ in outline.tags} <= {tag for tag, _ in plain.tags} | {
        "details",
        "summary",
        "pre",
        "ol",
        "rect",
        "a",
    }
    assert "<script>document.title='owned'</script>" in outline.text
    assert "{{ 7 * 7 }}" in outline.text
    assert not [c for c in page if (ord(c) < 0x20 and c not in "\n\t") or c in "\u202e\u200b\u2066"]
    assert "‹U+202E›gnp.exe" in outline.text
    assert "/home/a/" not in html.unescape(page)
    page.encode("utf-8")


def test_endless_output_makes_no_endless_page() -> None:
    page = feedback.render(sample.hostile())
    assert len(page) < 120_000
    assert "lines left out" in page
    assert "characters left out" in page


def test_record_without_exercises_makes_a_page() -> None:
    assert "0 of 0 points" in " ".join(Outline(feedback.render(sample.record())).text.split())


# The command -----------------------------------------------------------------------------


def test_command_writes_the_page_next_to_the_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ein Ordner" / "record.json"
    record.save(sample.typical(), file)
    assert main(["report", str(file)]) == 0
    written = file.parent / "feedback.html"
    assert capsys.readouterr().out == f"{written}\n"
    assert written.read_text(encoding="utf-8") == feedback.render(sample.typical())


def test_command_writes_the_page_where_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    record.save(sample.typical(), file)
    out = tmp_path / "pages" / "s1234567.html"
    assert main(["report", str(file), "--out", str(out)]) == 0
    assert out.exists()
    assert not (tmp_path / "feedback.html").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "The record cannot be read: No such file or directory."),
        (b"{", "it is not JSON"),
        (b"\xff\xfe{}", "it is not JSON"),
        (b"[]", "This is not a record (top: [] is not of type 'object')."),
        (b'{"schema": 9}', "This is a record of schema 9; this kit reads schema 1."),
        (b'{"schema": 1}', "'lab' is a required property"),
    ],
)
def test_command_says_what_is_wrong_with_a_record(
    content: bytes | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "record.json"
    if content is not None:
        file.write_bytes(content)
    assert main(["report", str(file)]) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert str(file) in said.err
    assert "Grading makes a new one" in said.err
    assert said.out == ""
    assert not (tmp_path / "feedback.html").exists()


def test_command_says_where_it_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "record.json"
    record.save(sample.typical(), file)
    out = file / "inside" / "page.html"
    assert main(["report", str(file), "--out", str(out)]) == 2
    assert "The page cannot be written" in capsys.readouterr().err
