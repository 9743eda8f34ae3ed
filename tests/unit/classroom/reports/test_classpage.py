"""The class page as text, and the table at a batch's end; tests/browser looks at the page."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from grader import record
from grader.classroom import results
from grader.classroom.pseudonym import secret_of
from grader.classroom.reports import classchecks, classfacts, classpage, classtable
from grader.classroom.reports.people import People
from grader.classroom.results import Entry, Person, Results
from grader.cli import main
from grader.errors import KitError
from grader.lab.variant import variant
from grader.record import Cause, Record
from tests.unit import sample_class as made
from tests.unit import sample_record as sample
from tests.unit.reports.test_feedback import Outline

LAB = made.LAB
SECRET = b"0" * 32


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return made.make(tmp_path_factory.mktemp("class"))


@pytest.fixture(scope="module")
def named(everybody: Results) -> str:
    return classpage.render(everybody, LAB)


@pytest.fixture(scope="module")
def anonymous(everybody: Results) -> str:
    return classpage.render(everybody, LAB, SECRET)


@pytest.fixture(params=["named", "anonymous"])
def page(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def test_page_is_well_formed(page: str) -> None:
    outline = Outline(page)
    assert outline.stray == []
    assert outline.unclosed == []
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    inner = {(a["href"] or "")[1:] for a in outline.all("a") if (a["href"] or "")[0] == "#"}
    assert inner | {a["aria-labelledby"] for _, a in outline.tags if "aria-labelledby" in a} <= set(
        ids
    )


def test_page_asks_for_nothing_outside_and_runs_nothing(page: str) -> None:
    outline = Outline(page)
    assert not {"script", "link", "img", "iframe", "object", "form"} & {t for t, _ in outline.tags}
    assert not [a for _, a in outline.tags if any(name.startswith("on") for name in a)]
    policy = next(a["content"] for a in outline.all("meta") if "http-equiv" in a)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert not re.search(r"url\((?!#)|@import|https?://", page)


def test_every_cell_has_a_header(page: str) -> None:
    for table in re.findall(r"<table.*?</table>", page, re.S):
        columns = len(re.findall(r'<th scope="col"', table))
        assert columns > 2
        for row in re.findall(r"<tr.*?</tr>", table.partition("<tbody")[2], re.S):
            assert row.count('<th scope="row"') == 1
            assert row.count("<td") == columns - 1


def test_names_are_shown_as_they_are_and_do_nothing(named: str) -> None:
    text = Outline(named).text
    assert "<script>document.title='owned'</script>" in text
    assert "‹U+202E›esreveR ot desrever" in text
    assert "{{ 7 * 7 }} {% raw %}" in text
    assert "characters left out" in text
    assert "\u202e" not in named


def test_links_lead_to_the_feedback_of_everybody_who_has_a_record(
    named: str, everybody: Results
) -> None:
    links = {a["href"] for a in Outline(named).all("a") if ".." in (a["href"] or "")}
    graded = [entry.person.id for entry, found in everybody.graded() if found]
    assert links == {f"../feedback/{student}.html" for student in graded}
    page = everybody.folder / "class" / "index.html"
    targets = {(page.parent / link).resolve() for link in links if link}
    assert targets == {everybody.feedback_file(student).resolve() for student in graded}


def test_summary_counts_everybody_once(named: str, everybody: Results) -> None:
    counts = classfacts.counts(classfacts.rows(everybody))
    assert counts == {"graded": 26, "partly": 3, "open": 1, "missing": 2}
    tiles = re.findall(r"<dt>([^<]+)</dt><dd class=\"figure\">(\d+)</dd>", named)
    assert dict(tiles) == {
        "graded": "26",
        "partly graded": "3",
        "not graded": "1",
        "handed in nothing": "2",
        "of unknown students": "1",
    }


def test_hidden_checks_are_named_and_marked(named: str) -> None:
    assert re.search(r'SECRET-SENTENCE two\.</span> <span class="tag">hidden</span>', named)


def test_an_anonymous_page_says_nothing_of_what_hidden_checks_are_about(anonymous: str) -> None:
    assert "SECRET" not in anonymous
    assert "database&#39;s port" not in anonymous
    assert "A hidden check." in anonymous


def test_why_somebody_was_not_graded_is_told_with_a_remedy(named: str) -> None:
    text = " ".join(Outline(named).text.split())
    assert "It holds SECRET-FILE, a link that leads outside. What to do: Ask for" in text
    assert "There is no Docker engine. What to do: Run python -m grader engine start" in text
    assert "SECRET-SOURCE <b>.zip: No ID is in its name." in text
    assert "SECRET-REMARK of Firstname14 Lastname14" in text


def test_shared_work_is_called_a_hint(named: str) -> None:
    text = " ".join(Outline(named).text.split())
    assert "A hint for a person, not a verdict." in text
    assert re.search(rf"{made.student(2)} \S.* uses values of {made.student(6)}", text)
    assert "uses values of the demo student" in text


def test_equal_reasons_are_counted_together_whoever_s_port_is_in_them(everybody: Results) -> None:
    rows = classfacts.rows(everybody)
    tallies = classchecks.checks(rows, LAB, People(everybody, LAB))
    first = tallies[0]
    assert first.reasons["Nothing answers on port ‹web_port›."] > 1
    assert [t.failed for t in tallies] == sorted((t.failed for t in tallies), reverse=True)
    for tally in tallies:
        told, others = classchecks.reasons(tally, anonymous=False)
        assert sum(count for _, count in told) + others == tally.failed
        assert tally.possible <= 29


def test_an_anonymous_page_says_nowhere_who_anybody_is(anonymous: str, everybody: Results) -> None:
    text = html.unescape(anonymous)
    people = [*everybody.missing, *(entry.person for entry in everybody.entries)]
    for person in people:
        assert person.id not in text
        assert person.email not in text
        assert person.name not in text
    for part in ("Ada", "Lovelace", "Hopper", "כהן", "Zoë", "Wolfe", "esreveR", "Lastname"):
        assert part not in text
    assert "SECRET-FILE" not in text
    assert "SECRET-REMARK" not in text
    assert "SECRET-SOURCE" not in text
    assert "assignsubmission" not in text
    assert "feedback/" not in text


def test_an_anonymous_page_holds_no_values_from_which_ids_could_be_computed(
    tmp_path: Path,
) -> None:
    def told(found: Record) -> Record:
        port = variant(LAB, found.student)["blog_port"]
        secret = variant(LAB, found.student)["db_password"]
        check = sample.failed(
            "blog.x", "The blog answers.", cause=Cause(f"Port {port} knows no {secret}.")
        )
        own = sample.failed("blog.y", "Own.", cause=Cause(f"Only {found.student[-3:]}9 has it."))
        return replace(found, exercises=(sample.exercise("blog", "Blog", [check, own]),))

    people = made.make(tmp_path, 12, told)
    page = html.unescape(classpage.render(people, LAB, SECRET))
    assert "Port ‹blog_port› knows no ‹db_password›." in page
    assert "has it" not in page, "a reason of one student alone may be about that student"
    for n in range(12):
        values = variant(LAB, made.student(n))
        assert str(values["db_password"]) not in page


def test_numbers_of_the_anonymous_are_stable_and_not_to_be_guessed(tmp_path: Path) -> None:
    people = made.make(tmp_path / "one")
    other = made.make(tmp_path / "two")
    secret = secret_of(people)
    assert secret_of(people) == secret
    assert secret_of(other) != secret
    first, again = (classpage.write(people, LAB, anonymous=True).read_text() for _ in range(2))
    assert first == again
    ids = [entry.person.id for entry in people.entries]
    order, others = (
        [People(people, LAB, s).shown(student).place for student in ids]
        for s in (secret, secret_of(other))
    )
    assert order != others
    assert order != sorted(order), "not the order of the IDs"
    assert secret.hex() not in first
    assert sorted(p.name for p in (people.folder / "class").iterdir()) == ["index.html"]


def test_the_same_class_gives_the_same_page(everybody: Results, named: str) -> None:
    turned = replace(everybody, entries=everybody.entries[::-1])
    assert classpage.render(turned, LAB) == named


def test_sums_that_differ_are_compared_in_percent_and_equal_ones_in_points() -> None:
    def row(score: float, of: float) -> classfacts.Row:
        checks = [sample.passed("a.x", "X.", score), sample.failed("a.y", "Y.", of - score)]
        found = sample.record(sample.exercise("a", "A", checks))
        return classfacts.Row("s1", Entry(Person("s1"), "x"), found)

    equal = classfacts.spread([row(1, 20), row(10, 20), row(12, 20), row(19, 20), row(19.9, 20)])
    assert equal is not None
    assert (equal.unit, equal.top, equal.middle) == ("points", 20, 12)
    assert (equal.quarter, equal.three_quarters) == (10, 19)
    assert equal.bins == (1, 0, 0, 0, 0, 1, 1, 0, 0, 2)
    unequal = classfacts.spread([row(5, 20), row(10, 10.5)])
    assert unequal is not None
    assert (unequal.unit, unequal.top, round(unequal.middle)) == ("%", 100, 60)


@pytest.mark.parametrize("size", [0, 1])
def test_a_class_of_none_or_one_has_a_page(tmp_path: Path, size: int) -> None:
    entries = tuple(Entry(made.person(n), "x") for n in range(size))
    people = Results(tmp_path, LAB.id, entries)
    found = made.made(0)
    if size and found:
        record.save(found, people.record_file(made.student(0)))
    page = classpage.render(people, LAB)
    assert Outline(page).unclosed == []
    assert ("No submission is completely graded" in html.unescape(page)) is (size == 0)


def test_three_hundred_students_make_a_page_that_loads_at_once(tmp_path: Path) -> None:
    file = classpage.write(made.make(tmp_path, 300), LAB)
    assert 100_000 < file.stat().st_size < 400_000


def test_a_folder_that_cannot_be_written_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    people = made.make(tmp_path, 2)
    (tmp_path / "class").write_text("in the way")
    with pytest.raises(KitError, match="cannot be written"):
        classpage.write(people, LAB)
    assert (tmp_path / "class").read_text() == "in the way"


def test_report_makes_all_pages_of_a_class_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = made.make(tmp_path, 8)
    assert main(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "class" / "index.html")
    pages = {file.name for file in (tmp_path / "feedback").iterdir()}
    assert pages == {f"{made.student(n)}.html" for n in range(8) if n != 5}
    assert made.student(2) in (tmp_path / "class" / "index.html").read_text(encoding="utf-8")
    assert main(["report", str(tmp_path), "--anonymous"]) == 0
    assert made.student(2) not in (tmp_path / "class" / "index.html").read_text(encoding="utf-8")
    assert results.load(tmp_path) == people


@pytest.mark.parametrize("option", [["--out", "x.html"], ["--rollout"]])
def test_report_of_a_class_says_which_options_it_does_not_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    made.make(tmp_path, 1)
    assert main(["report", str(tmp_path), *option]) == 2
    assert f"{option[0]} is for a single record" in capsys.readouterr().err
    assert not (tmp_path / "class").exists()


def test_report_of_one_record_cannot_be_anonymous(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record.save(sample.typical(), tmp_path / "record.json")
    assert main(["report", str(tmp_path / "record.json"), "--anonymous"]) == 2
    assert "Only a class page" in capsys.readouterr().err
    assert not (tmp_path / "feedback.html").exists()


def _table(people: Results, width: int = 100, encoding: str = "utf-8") -> str:
    import io

    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    classtable.render(people, Console(file=stream, width=width))
    return raw.getvalue().decode(encoding)


def test_table_of_a_small_class_has_a_line_for_each(everybody: Results) -> None:
    told = _table(everybody)
    for entry in everybody.entries:
        assert len(re.findall(rf"^{entry.person.id} ", told, re.M)) == 1
    assert "32 students: 26 graded, 3 partly graded, 1 not graded, 2 nothing handed in" in told
    assert "3 hints at shared values or files" in told


def test_table_of_a_large_class_is_short_and_names_all_who_were_not_graded(
    tmp_path: Path,
) -> None:
    people = made.make(tmp_path, 300)
    told = _table(people)
    assert len(told.splitlines()) < 40
    for row in classfacts.rows(people):
        assert (row.student in told) is (row.status in ("open", "partly"))
    assert "It holds SECRET-FILE, a link that leads outside." in told
    assert "What to do:" in told


def test_table_can_be_printed_in_plain_ascii(everybody: Results) -> None:
    assert "SECRET-SOURCE <b>.zip" in _table(everybody, encoding="ascii")
