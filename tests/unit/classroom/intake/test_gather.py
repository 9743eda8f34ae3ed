"""Whatever a tutor has becomes a results folder: everybody matched, listed or named as missing."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.classroom import results
from grader.errors import KitError
from tests.unit import made_class
from tests.unit.handed_in import (
    Class,
    Layout,
    canvas,
    canvas_unpacked,
    clones,
    folders,
    folders_by_address,
    folders_by_name,
    folders_in_groups,
    folders_zipped,
    mixed,
    moodle,
    moodle_below_a_folder,
    moodle_flat,
    moodle_unpacked,
    tars,
    zips,
    zips_by_login,
    zips_in_folders,
)
from tests.unit.submission.archives.test_unpack import written


@pytest.fixture
def klass(tmp_path: Path) -> Class:
    return Class(tmp_path)


@pytest.mark.parametrize(
    "layout",
    [
        moodle, moodle_below_a_folder, moodle_unpacked, moodle_flat, canvas, canvas_unpacked,
        folders, folders_zipped, folders_in_groups, folders_by_name, folders_by_address, zips,
        tars, zips_by_login, zips_in_folders, clones, mixed,
    ],
)  # fmt: skip
def test_every_layout_gives_everybody_their_own_files(klass: Class, layout: Layout) -> None:
    klass.all_right(klass.gather(layout(klass)))


@pytest.mark.parametrize("layout", [folders, zips, tars, clones, zips_in_folders])
def test_without_a_roster_people_come_from_the_ids(klass: Class, layout: Layout) -> None:
    klass.all_right(klass.gather(layout(klass), roster=False))


def test_names_alone_match_where_the_roster_has_no_numbers(klass: Class) -> None:
    plain = [results.Person(p.id, p.name, p.email) for p in klass.people]
    made_class.roster_csv(plain, klass.roster)
    for layout in (moodle, canvas):
        klass.all_right(klass.gather(layout(klass)))


def test_who_handed_nothing_in_is_missing_and_a_stranger_is_unmatched(klass: Class) -> None:
    made = made_class.moodle_zip(
        klass.people[:3] + made_class.people(1, 99),
        {
            **{p.id: klass.folders[p.id] for p in klass.people[:3]},
            "s0000099": klass.folders["s0000009"],
        },
        klass.tmp / "m.zip",
    )
    found = klass.gather(made)
    assert len(found.entries) == 3
    assert [p.id for p in found.missing] == [p.id for p in klass.people[3:]]
    (stranger,) = found.unmatched
    assert "_50099_assignsubmission_file_" in stranger.source
    assert "moodle number 50099" in stranger.reason
    assert "roster" in stranger.reason


def test_what_is_no_submission_is_listed_not_dropped(klass: Class) -> None:
    source = folders(klass)
    (source / "notes.txt").write_text("x")
    (source / "link").symlink_to(klass.tmp)
    made_class.write(
        source,
        {
            "who knows/words/a": "1",
            "s0000001 and s0000002/words/a": "1",
            "s7777777.zip": b"PK\x03\x04broken",
        },
    )
    found = klass.gather(source)
    assert [u.source.split("/")[-1] for u in found.unmatched] == [
        "link", "notes.txt", "s0000001 and s0000002", "s7777777.zip", "who knows",
    ]  # fmt: skip
    reasons = {u.source.split("/")[-1]: u.reason for u in found.unmatched}
    assert "single file" in reasons["notes.txt"]
    assert "two students' IDs" in reasons["s0000001 and s0000002"]
    assert "not on the roster" in reasons["s7777777.zip"]
    assert "damaged" in reasons["s7777777.zip"]


def test_one_that_cannot_be_unpacked_costs_only_itself(klass: Class) -> None:
    source = zips(klass)
    (source / "s0000003.zip").write_bytes((source / "s0000003.zip").read_bytes()[:-40])
    found = klass.gather(source)
    refused = [e for e in found.entries if e.refused]
    assert [e.person.id for e in refused] == ["s0000003"]
    assert "damaged" in (refused[0].refused or "")
    assert not found.submission("s0000003").exists()
    assert len(found.entries) == 10


def test_a_hostile_part_of_the_classs_archive_costs_only_itself(klass: Class) -> None:
    made = moodle(klass)
    top = f"{klass.people[0].name}_50001_assignsubmission_file_"
    with zipfile.ZipFile(made, "a") as archive:
        archive.writestr(f"{top}/words/A", "1")
        archive.writestr(f"{top}/words/a", "2")
    found = klass.gather(made)
    assert [e.person.id for e in found.entries if e.refused] == ["s0000001"]
    assert "upper and lower case" in (found.entries[0].refused or "")


def test_a_classs_archive_that_leads_out_is_refused_as_a_whole(klass: Class) -> None:
    with zipfile.ZipFile(klass.tmp / "m.zip", "w") as archive:
        archive.writestr("s0000001/words/a", "1")
        archive.writestr("s0000002/../../words/a", "1")
    with pytest.raises(KitError, match="leads out"):
        klass.gather(klass.tmp / "m.zip")
    assert not (klass.out / "class.json").exists()


def test_of_two_submissions_the_newer_counts_and_the_older_is_named(klass: Class) -> None:
    source = klass.tmp / "class"
    old, new = klass.folders["s0000002"], klass.folders["s0000001"]
    for path in old.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    made_class.zip_of(old, source / "s0000001 z.zip")
    made_class.zip_of(new, source / "s0000001 a.zip")
    found = klass.gather(source)
    (entry,) = found.entries
    assert (found.submission("s0000001") / "words/words.txt").read_text() == "hello s0000001"
    assert entry.remarks == (
        "class/s0000001 z.zip was set aside: another is newer, or comes later by name.",
    )


def test_canvas_numbers_say_which_attempt_is_the_last(klass: Class) -> None:
    source = klass.tmp / "class"
    person = klass.people[0]
    for file, of in (
        ("lab-2.zip", "s0000001"),
        ("lab-10.zip", "s0000002"),
        ("lab.zip", "s0000003"),
    ):
        made_class.zip_of(klass.folders[of], source / made_class.canvas_name(person, file))
    found = klass.gather(source)
    (entry,) = found.entries
    assert (found.submission("s0000001") / "words/words.txt").read_text() == "hello s0000002"
    assert (
        set(entry.remarks)
        == {
            "lab.zip was set aside: lab-2.zip is newer.",
            "lab-2.zip was set aside: lab-10.zip is newer.",
        }
        or len(entry.remarks) == 2
    )


def test_canvas_names_of_two_endings_are_read(klass: Class) -> None:
    packed = made_class.tar_of(klass.folders["s0000001"], klass.tmp / "lab.tar.gz")
    (klass.tmp / "class").mkdir()
    packed.rename(klass.tmp / "class" / made_class.canvas_name(klass.people[0], "lab.tar-1.gz"))
    (entry,) = klass.gather(klass.tmp / "class").entries
    assert (entry.person.id, entry.refused) == ("s0000001", None)


def test_texts_typed_into_the_lms_are_named_and_not_graded(klass: Class) -> None:
    made = moodle(klass)
    ada, alan = klass.people[0], klass.people[2]
    with zipfile.ZipFile(made, "a") as archive:
        for p in (ada, alan):
            top = f"{p.name}_{p.numbers['moodle']}_assignsubmission_onlinetext_"
            archive.writestr(f"{top}/onlinetext.html", "<p>hello</p>")
    found = klass.gather(made)
    assert "also a text that was typed into the LMS" in found.entries[0].remarks[0]
    only = klass.tmp / "only.zip"
    with zipfile.ZipFile(only, "w") as archive:
        archive.writestr(f"{top}/onlinetext.html", "<p>hello</p>")
    (entry,) = klass.gather(only).entries
    assert entry.person.id == alan.id
    assert "only a text" in (entry.refused or "")


def test_several_files_of_one_person_are_put_together(klass: Class) -> None:
    work, person = klass.folders["s0000001"], klass.people[0]
    for n, name in enumerate(("words", "numbers")):
        file = made_class.canvas_name(person, f"{name}.zip", upload=n)
        made_class.zip_of(work / name, klass.tmp / "class" / file, name)
    file = made_class.canvas_name(person, "worksheet.ipynb", upload=9)
    shutil.copy(work / "worksheet.ipynb", klass.tmp / "class" / file)
    found = klass.gather(klass.tmp / "class")
    (entry,) = found.entries
    assert entry.source.endswith(" and 2 more")
    assert written(found.submission("s0000001")) == written(work)


def test_lateness_is_a_remark_and_no_time_is_made_up(klass: Class) -> None:
    made = made_class.canvas_zip(
        klass.people, klass.folders, klass.tmp / "c.zip", late=["s0000001"]
    )
    found = klass.gather(made)
    assert "late" in found.entries[0].remarks[0]
    assert found.entries[1].remarks == ()
    assert {e.submitted for e in found.entries} == {None}


def test_a_clones_last_commit_says_when_it_was_handed_in(klass: Class) -> None:
    found = klass.gather(clones(klass))
    assert {e.submitted for e in found.entries} == {"2026-11-24T10:00:00+01:00"}
    assert not (found.submission("s0000001") / ".git").exists()


def test_a_clones_own_settings_and_hooks_never_run(klass: Class) -> None:
    clone = made_class.git_clone(klass.folders["s0000001"], klass.tmp / "class" / "s0000001")
    trap = made_class.write(klass.tmp, {"trap.sh": f"#!/bin/sh\ntouch {klass.tmp}/sprung\n"})
    with (clone / ".git/config").open("a") as config:
        keys = ("fsmonitor", "sshCommand", "pager", "alternateRefsCommand")
        config.write("[core]\n" + "".join(f" {key} = {trap}/trap.sh\n" for key in keys))
        config.write(f" hooksPath = {clone}/.git/hooks\n")
    for hook in ("post-checkout", "post-index-change", "reference-transaction"):
        shutil.copy(trap / "trap.sh", clone / ".git/hooks" / hook)
    found = klass.gather(klass.tmp / "class")
    assert found.entries[0].submitted == "2026-11-24T10:00:00+01:00"
    assert not (klass.tmp / "sprung").exists()


def test_moodles_worksheet_says_when_each_handed_in(klass: Class) -> None:
    rows = ["Identifier,Full name,ID number,Last modified (submission)"]
    rows += [
        f'Participant {p.numbers["moodle"]},{p.name},{p.id},"Tuesday, 24 November 2026, 10:05 AM"'
        for p in klass.people
    ]
    klass.roster.write_text("\n".join(rows), encoding="utf-8")
    found = klass.gather(moodle(klass))
    assert all((e.submitted or "").startswith("2026-11-24T10:05:00") for e in found.entries)


def test_a_manifest_that_names_another_is_a_remark_and_the_folder_counts(klass: Class) -> None:
    source = folders(klass)
    said = {
        "schema": 1,
        "lab": "toy",
        "student": "s0000002",
        "files": {"words/words.txt": "0" * 64},
    }
    (source / "s0000001/drydock.json").write_text(json.dumps(said))
    entry = klass.gather(source).entries[0]
    assert entry.person.id == "s0000001"
    assert entry.remarks == (
        "Changed after nox -s submit had packed it: words/words.txt.",
        "The archive in it was packed for s0000002, but s0000001 handed it in.",
    )


def test_a_manifest_says_whose_it_is_where_nothing_else_does(klass: Class) -> None:
    said = {"schema": 1, "lab": "toy", "student": "s0000004", "files": {}}
    made_class.write(klass.folders["s0000004"], {"drydock.json": json.dumps(said)})
    made_class.zip_of(klass.folders["s0000004"], klass.tmp / "class/final.zip")
    assert klass.gather(klass.tmp / "class").entries[0].person.id == "s0000004"


@pytest.mark.parametrize(
    "bad", ["{", "[]", '{"schema": 9}', '{"schema": 1, "lab": 3}', "[" * 100_000,
            '{"schema": 1, "lab": "toy", "student": "../../x", "files": {"../../etc/x": "0"}}'],
)  # fmt: skip
def test_a_broken_manifest_is_only_a_file(klass: Class, bad: str) -> None:
    source = folders(klass)
    (source / "s0000001/drydock.json").write_text(bad)
    klass.all_right(klass.gather(source))


def in_folders(c: Class) -> str:
    shutil.copytree(c.folders["s0000001"], c.tmp / "class/s0000001/Desktop/my work")
    return "The exercises' folders were taken from the folder Desktop/my work."


def with_junk(c: Class) -> str:
    place = c.tmp / "class/s0000001"
    shutil.copytree(c.folders["s0000001"], place)
    made_class.write(place, {"__MACOSX/words/._a": "x", ".DS_Store": "x", "words/Thumbs.db": "x"})
    return ""


def in_other_case(c: Class) -> str:
    place = c.tmp / "class/s0000001"
    shutil.copytree(c.folders["s0000001"], place)
    (place / "words").rename(place / "WORDS")
    return "The folder WORDS was taken as words."


def nested(c: Class) -> str:
    inner = made_class.zip_of(c.folders["s0000001"], c.tmp / "inner/a.zip")
    made_class.tar_of(inner.parent, c.tmp / "middle/b.tar.gz")
    made_class.zip_of(c.tmp / "middle", c.tmp / "class/s0000001.zip")
    return ""


def one_archive_per_exercise(c: Class) -> str:
    work = c.folders["s0000001"]
    made_class.zip_of(work / "words", c.tmp / "class/s0000001/one.zip", "words")
    made_class.tar_of(work / "numbers", c.tmp / "class/s0000001/two.tar.gz", "numbers")
    shutil.copy(work / "worksheet.ipynb", c.tmp / "class/s0000001")
    return ""


@pytest.mark.parametrize(
    "made", [in_folders, with_junk, in_other_case, nested, one_archive_per_exercise]
)
def test_the_exercises_folders_are_found(klass: Class, made: Callable[[Class], str]) -> None:
    remark = made(klass)
    found = klass.gather(klass.tmp / "class")
    (entry,) = found.entries
    assert entry.refused is None
    assert written(found.submission("s0000001")) == written(klass.folders["s0000001"])
    assert entry.remarks == ((remark,) if remark else ())


def test_a_submission_of_one_exercise_is_one(klass: Class) -> None:
    shutil.copytree(klass.folders["s0000001"] / "words", klass.tmp / "class/s0000001/words")
    (entry,) = klass.gather(klass.tmp / "class").entries
    assert (entry.refused, entry.remarks) == (None, ())


def test_a_submission_of_something_else_says_what_is_missing(klass: Class) -> None:
    made_class.write(klass.tmp / "class/s0000001", {"index.html": "x"})
    (entry,) = klass.gather(klass.tmp / "class").entries
    assert entry.remarks == ("It has no exercise folder (words, numbers expected).",)


def test_archives_without_end_are_refused(klass: Class) -> None:
    content, name = b"x", "a.txt"
    for _ in range(6):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(name, content)
        content, name = packed.getvalue(), "r.zip"
    made_class.write(klass.tmp / "class", {"s0000001.zip": content})
    (entry,) = klass.gather(klass.tmp / "class").entries
    assert "more than 3 levels deep" in (entry.refused or "")


def test_too_much_for_grading_is_refused_in_gradings_words(
    klass: Class, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grader.submission import files

    monkeypatch.setattr(files, "MAX_FILES", 1)
    (entry, *_) = klass.gather(folders(klass)).entries
    assert "The folder is too large" in (entry.refused or "")
    assert "elsewhere" in (entry.refused or "")
