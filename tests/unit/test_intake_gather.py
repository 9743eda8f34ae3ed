"""Whatever a tutor has becomes a results folder: everybody matched, listed or named as missing."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest
from filelock import FileLock

from grader import results
from grader.errors import KitError
from grader.intake.gather import digest_of, gather
from tests.unit import made_class, toy_lab
from tests.unit.test_intake_archive import written


class Class:
    """A small class with files of their own, the kit's toy lab, and a results folder."""

    def __init__(self, tmp_path: Path, count: int = 10) -> None:
        self.tmp = tmp_path
        self.lab = toy_lab.make(tmp_path / "kit")
        self.people = made_class.people(count)
        self.out = tmp_path / "results"
        self.folders = {
            p.id: made_class.write(
                tmp_path / "work" / p.id,
                {
                    "words/words.txt": f"hello {p.id}",
                    "words/go.sh": "#!/bin/sh\n",
                    "numbers/a.txt": p.name,
                    "worksheet.ipynb": "{}",
                },
            )
            for p in self.people
        }
        self.roster = made_class.roster_csv(self.people, tmp_path / "roster.csv")

    def gather(self, source: Path, *, roster: bool = True, **more):
        return gather(source, self.lab, self.out, self.roster if roster else None, **more)

    def all_right(self, found: results.Results) -> None:
        """Everybody's own files are in their folder, and nothing is left of the work."""
        assert [e.person.id for e in found.entries] == sorted(self.folders)
        assert (found.unmatched, found.missing) == ((), ())
        for entry in found.entries:
            assert entry.refused is None
            place = found.submission(entry.person.id)
            assert written(place).items() >= written(self.folders[entry.person.id]).items()
            assert os.access(place / "words/go.sh", os.X_OK)
            assert entry.digest == digest_of(place)
        assert results.load(self.out) == found
        assert {p.name for p in self.out.iterdir()} <= {
            "class.json",
            "submissions",
            ".intake.lock",
            ".intake.json",
        }


@pytest.fixture
def klass(tmp_path):
    return Class(tmp_path)


def moodle(c):
    return made_class.moodle_zip(c.people, c.folders, c.tmp / "m.zip", loose=["s0000002"])


def unzipped(path, dest):
    """As unzip does it, with modes, which Python's own extractall forgets."""
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            Path(archive.extract(info, dest)).chmod(info.external_attr >> 16)
    return dest


def moodle_below_a_folder(c):
    unzipped(moodle(c), c.tmp / "x/lab 4 (1)")
    shutil.make_archive(str(c.tmp / "wrapped"), "zip", c.tmp / "x")
    return c.tmp / "wrapped.zip"


def moodle_unpacked(c):
    return unzipped(moodle(c), c.tmp / "unpacked")


def moodle_flat(c):
    dest = c.tmp / "flat"
    for p in c.people:
        name = f"{p.name}_{p.numbers['moodle']}_assignsubmission_file_my_lab.zip"
        made_class.zip_of(c.folders[p.id], dest / name)
    return dest


def canvas(c):
    return made_class.canvas_zip(c.people, c.folders, c.tmp / "submissions.zip")


def canvas_unpacked(c):
    return unzipped(canvas(c), c.tmp / "unpacked")


def folders(c):
    return made_class.folder_of_folders(c.folders, c.tmp / "class")


def folders_zipped(c):
    shutil.make_archive(str(c.tmp / "class"), "gztar", folders(c))
    return c.tmp / "class.tar.gz"


def folders_in_groups(c):
    for index, (student, folder) in enumerate(c.folders.items()):
        shutil.copytree(folder, c.tmp / "class" / f"group {index % 2}" / student)
    return c.tmp / "class"


def folders_by_name(c):
    for p in c.people:
        last, first = p.name.split()[-1], " ".join(p.name.split()[:-1])
        shutil.copytree(c.folders[p.id], c.tmp / "class" / f"{last}, {first}")
    return c.tmp / "class"


def folders_by_address(c):
    for p in c.people:
        shutil.copytree(c.folders[p.id], c.tmp / "class" / p.email)
    return c.tmp / "class"


def zips(c):
    return made_class.folder_of_archives(c.folders, c.tmp / "class")


def tars(c):
    return made_class.folder_of_archives(c.folders, c.tmp / "class", ".tar.gz")


def zips_by_login(c):
    for p in c.people:
        made_class.zip_of(c.folders[p.id], c.tmp / "class" / f"{p.numbers['login']}.zip", "my work")
    return c.tmp / "class"


def zips_in_folders(c):
    for p in c.people:
        made_class.zip_of(c.folders[p.id], c.tmp / "class" / p.id / "final FINAL.zip")
    return c.tmp / "class"


def clones(c):
    for student, folder in c.folders.items():
        made_class.git_clone(folder, c.tmp / "class" / f"lab4-{student}")
    return c.tmp / "class"


def mixed(c):
    """Somebody put everything that came, by whichever way, into one folder."""
    thirds = [{p.id: c.folders[p.id] for p in c.people[n::3]} for n in range(3)]
    made_class.folder_of_folders(thirds[0], c.tmp / "class")
    made_class.folder_of_archives(thirds[1], c.tmp / "class", ".tar.xz")
    for p in c.people:
        if p.id in thirds[2]:
            name = made_class.canvas_name(p, "lab.zip", late=True)
            made_class.zip_of(c.folders[p.id], c.tmp / "class" / name)
    return c.tmp / "class"


@pytest.mark.parametrize(
    "layout",
    [
        moodle, moodle_below_a_folder, moodle_unpacked, moodle_flat, canvas, canvas_unpacked,
        folders, folders_zipped, folders_in_groups, folders_by_name, folders_by_address, zips,
        tars, zips_by_login, zips_in_folders, clones, mixed,
    ],
)  # fmt: skip
def test_every_layout_gives_everybody_their_own_files(klass, layout):
    klass.all_right(klass.gather(layout(klass)))


@pytest.mark.parametrize("layout", [folders, zips, tars, clones, zips_in_folders])
def test_without_a_roster_people_come_from_the_ids(klass, layout):
    klass.all_right(klass.gather(layout(klass), roster=False))


def test_names_alone_match_where_the_roster_has_no_numbers(klass):
    plain = [results.Person(p.id, p.name, p.email) for p in klass.people]
    made_class.roster_csv(plain, klass.roster)
    for layout in (moodle, canvas):
        klass.all_right(klass.gather(layout(klass)))


def test_who_handed_nothing_in_is_missing_and_a_stranger_is_unmatched(klass):
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


def test_what_is_no_submission_is_listed_not_dropped(klass):
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


def test_one_that_cannot_be_unpacked_costs_only_itself(klass):
    source = zips(klass)
    (source / "s0000003.zip").write_bytes((source / "s0000003.zip").read_bytes()[:-40])
    found = klass.gather(source)
    refused = [e for e in found.entries if e.refused]
    assert [e.person.id for e in refused] == ["s0000003"]
    assert "damaged" in refused[0].refused
    assert not found.submission("s0000003").exists()
    assert len(found.entries) == 10


def test_a_hostile_part_of_the_classs_archive_costs_only_itself(klass):
    made = moodle(klass)
    top = f"{klass.people[0].name}_50001_assignsubmission_file_"
    with zipfile.ZipFile(made, "a") as archive:
        archive.writestr(f"{top}/words/A", "1")
        archive.writestr(f"{top}/words/a", "2")
    found = klass.gather(made)
    assert [e.person.id for e in found.entries if e.refused] == ["s0000001"]
    assert "upper and lower case" in found.entries[0].refused


def test_a_classs_archive_that_leads_out_is_refused_as_a_whole(klass):
    with zipfile.ZipFile(klass.tmp / "m.zip", "w") as archive:
        archive.writestr("s0000001/words/a", "1")
        archive.writestr("s0000002/../../words/a", "1")
    with pytest.raises(KitError, match="leads out"):
        klass.gather(klass.tmp / "m.zip")
    assert not (klass.out / "class.json").exists()


def test_of_two_submissions_the_newer_counts_and_the_older_is_named(klass):
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


def test_canvas_numbers_say_which_attempt_is_the_last(klass):
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


def test_canvas_names_of_two_endings_are_read(klass):
    packed = made_class.tar_of(klass.folders["s0000001"], klass.tmp / "lab.tar.gz")
    (klass.tmp / "class").mkdir()
    packed.rename(klass.tmp / "class" / made_class.canvas_name(klass.people[0], "lab.tar-1.gz"))
    (entry,) = klass.gather(klass.tmp / "class").entries
    assert (entry.person.id, entry.refused) == ("s0000001", None)


def test_texts_typed_into_the_lms_are_named_and_not_graded(klass):
    made = moodle(klass)
    ada, alan = klass.people[0], klass.people[2]
    with zipfile.ZipFile(made, "a") as archive:
        for p in (ada, alan):
            top = f"{p.name}_{p.numbers['moodle']}_assignsubmission_onlinetext_"
            archive.writestr(f"{top}/onlinetext.html", "<p>hello</p>")
    found = klass.gather(made)
    assert "typed into the LMS as well" in found.entries[0].remarks[0]
    only = klass.tmp / "only.zip"
    with zipfile.ZipFile(only, "w") as archive:
        archive.writestr(f"{top}/onlinetext.html", "<p>hello</p>")
    (entry,) = klass.gather(only).entries
    assert entry.person.id == alan.id
    assert "only a text" in entry.refused


def test_several_files_of_one_person_are_put_together(klass):
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


def test_lateness_is_a_remark_and_no_time_is_made_up(klass):
    made = made_class.canvas_zip(
        klass.people, klass.folders, klass.tmp / "c.zip", late=["s0000001"]
    )
    found = klass.gather(made)
    assert "late" in found.entries[0].remarks[0]
    assert found.entries[1].remarks == ()
    assert {e.submitted for e in found.entries} == {None}


def test_a_clones_last_commit_says_when_it_was_handed_in(klass):
    found = klass.gather(clones(klass))
    assert {e.submitted for e in found.entries} == {"2026-11-24T10:00:00+01:00"}
    assert not (found.submission("s0000001") / ".git").exists()


def test_a_clones_own_settings_and_hooks_never_run(klass):
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


def test_moodles_worksheet_says_when_each_handed_in(klass):
    rows = ["Identifier,Full name,ID number,Last modified (submission)"]
    rows += [
        f'Participant {p.numbers["moodle"]},{p.name},{p.id},"Tuesday, 24 November 2026, 10:05 AM"'
        for p in klass.people
    ]
    klass.roster.write_text("\n".join(rows), encoding="utf-8")
    found = klass.gather(moodle(klass))
    assert all(e.submitted.startswith("2026-11-24T10:05:00") for e in found.entries)


def test_a_manifest_that_names_another_is_a_remark_and_the_folder_counts(klass):
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


def test_a_manifest_says_whose_it_is_where_nothing_else_does(klass):
    said = {"schema": 1, "lab": "toy", "student": "s0000004", "files": {}}
    made_class.write(klass.folders["s0000004"], {"drydock.json": json.dumps(said)})
    made_class.zip_of(klass.folders["s0000004"], klass.tmp / "class/final.zip")
    assert klass.gather(klass.tmp / "class").entries[0].person.id == "s0000004"


@pytest.mark.parametrize(
    "bad", ["{", "[]", '{"schema": 9}', '{"schema": 1, "lab": 3}', "[" * 100_000,
            '{"schema": 1, "lab": "toy", "student": "../../x", "files": {"../../etc/x": "0"}}'],
)  # fmt: skip
def test_a_broken_manifest_is_only_a_file(klass, bad):
    source = folders(klass)
    (source / "s0000001/drydock.json").write_text(bad)
    klass.all_right(klass.gather(source))


def in_folders(c):
    shutil.copytree(c.folders["s0000001"], c.tmp / "class/s0000001/Desktop/my work")
    return "The exercises' folders were taken from the folder Desktop/my work."


def with_junk(c):
    place = c.tmp / "class/s0000001"
    shutil.copytree(c.folders["s0000001"], place)
    made_class.write(place, {"__MACOSX/words/._a": "x", ".DS_Store": "x", "words/Thumbs.db": "x"})
    return ""


def in_other_case(c):
    place = c.tmp / "class/s0000001"
    shutil.copytree(c.folders["s0000001"], place)
    (place / "words").rename(place / "WORDS")
    return "The folder WORDS was taken as words."


def nested(c):
    inner = made_class.zip_of(c.folders["s0000001"], c.tmp / "inner/a.zip")
    made_class.tar_of(inner.parent, c.tmp / "middle/b.tar.gz")
    made_class.zip_of(c.tmp / "middle", c.tmp / "class/s0000001.zip")
    return ""


def one_archive_per_exercise(c):
    work = c.folders["s0000001"]
    made_class.zip_of(work / "words", c.tmp / "class/s0000001/one.zip", "words")
    made_class.tar_of(work / "numbers", c.tmp / "class/s0000001/two.tar.gz", "numbers")
    shutil.copy(work / "worksheet.ipynb", c.tmp / "class/s0000001")
    return ""


@pytest.mark.parametrize(
    "made", [in_folders, with_junk, in_other_case, nested, one_archive_per_exercise]
)
def test_the_exercises_folders_are_found(klass, made):
    remark = made(klass)
    found = klass.gather(klass.tmp / "class")
    (entry,) = found.entries
    assert entry.refused is None
    assert written(found.submission("s0000001")) == written(klass.folders["s0000001"])
    assert entry.remarks == ((remark,) if remark else ())


def test_a_submission_of_one_exercise_is_one(klass):
    shutil.copytree(klass.folders["s0000001"] / "words", klass.tmp / "class/s0000001/words")
    (entry,) = klass.gather(klass.tmp / "class").entries
    assert (entry.refused, entry.remarks) == (None, ())


def test_a_submission_of_something_else_says_what_is_missing(klass):
    made_class.write(klass.tmp / "class/s0000001", {"index.html": "x"})
    (entry,) = klass.gather(klass.tmp / "class").entries
    assert entry.remarks == ("There is no exercise's folder in it (words, numbers are asked for).",)


def test_archives_without_end_are_refused(klass):
    content, name = b"x", "a.txt"
    for _ in range(6):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(name, content)
        content, name = packed.getvalue(), "r.zip"
    made_class.write(klass.tmp / "class", {"s0000001.zip": content})
    (entry,) = klass.gather(klass.tmp / "class").entries
    assert "more than 3 deep" in entry.refused


def test_too_much_for_grading_is_refused_in_gradings_words(klass, monkeypatch):
    from grader import submission

    monkeypatch.setattr(submission, "MAX_FILES", 1)
    (entry, *_) = klass.gather(folders(klass)).entries
    assert "There is too much in it" in entry.refused
    assert "elsewhere" in entry.refused


@pytest.mark.parametrize("layout", [folders, zips])
def test_one_students_alone_is_a_class_of_one(klass, layout):
    source = layout(klass)
    one = sorted(source.iterdir())[3]
    found = klass.gather(one)
    assert [e.person.id for e in found.entries] == ["s0000004"]
    assert len(found.missing) == 9


def test_a_second_time_leaves_what_has_not_changed_where_it_is(klass):
    source = folders(klass)
    first = klass.gather(source)
    kept = {e.person.id: first.submission(e.person.id).stat().st_ino for e in first.entries}
    (source / "s0000001/words/words.txt").write_text("new")
    (klass.out / "submissions/s0000002/words/words.txt").write_text("somebody's pencil")
    second = klass.gather(source)
    now = {e.person.id: second.submission(e.person.id).stat().st_ino for e in second.entries}
    assert {s for s in kept if kept[s] != now[s]} == {"s0000001", "s0000002"}
    assert (second.submission("s0000001") / "words/words.txt").read_text() == "new"
    assert (second.submission("s0000002") / "words/words.txt").read_text() == "hello s0000002"


@pytest.mark.parametrize("layout", [folders, moodle])
def test_the_same_again_is_not_unpacked_again(klass, layout):
    source = layout(klass)
    first = klass.gather(source)
    told = []
    assert klass.gather(source, progress=lambda *step: told.append(step)) == first
    assert [t[:2] for t in told] == [(0, 0)]


def test_a_changed_roster_or_a_touched_submission_is_noticed(klass):
    source = moodle(klass)
    klass.gather(source)
    shutil.rmtree(klass.out / "submissions/s0000003")
    klass.all_right(klass.gather(source))
    more = made_class.people(11)
    made_class.roster_csv(more, klass.roster)
    assert [p.id for p in klass.gather(source).missing] == ["s0000011"]


def test_what_was_found_alike_is_kept(klass):
    source = folders(klass)
    first = klass.gather(source)
    alike = (results.Likeness("file", ("s0000001", "s0000002"), "words/a"),)
    first.with_likenesses(alike).save()
    assert klass.gather(source).likenesses == alike


def test_progress_is_told(klass):
    told = []
    klass.gather(folders(klass), progress=lambda *step: told.append(step))
    assert [t[:2] for t in told] == [(0, 0), *((n, 10) for n in range(11))]


def test_the_source_is_only_read(klass):
    source = zips_in_folders(klass)
    before = written(source)
    klass.gather(source)
    assert written(source) == before


def test_results_within_the_source_are_no_submission(klass):
    source = folders(klass)
    klass.out = source / "results"
    klass.roster = shutil.copy(klass.roster, source / "roster.csv")
    klass.gather(source)
    klass.all_right(klass.gather(source))


def test_killed_at_any_moment_it_comes_to_the_same_end(klass):
    source = moodle(klass)
    script = (
        "import sys\nfrom pathlib import Path\nfrom grader import lab\n"
        "from grader.intake.gather import gather\n"
        "p = [Path(a) for a in sys.argv[1:]]\n"
        "gather(p[0], lab.load(p[1]), p[2], p[3], lambda *_: print(*_, flush=True))\n"
    )
    words = [sys.executable, "-c", script, source, klass.lab.folder, klass.out, klass.roster]
    for lines in (1, 3, 6, 9, 11):
        run = subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, text=True)
        for _ in range(lines):
            run.stdout.readline()
        time.sleep(0.002 * lines)
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stdout.close()
    klass.all_right(klass.gather(source))


def test_two_at_once_do_not_meet(klass):
    (klass.out).mkdir()
    with FileLock(klass.out / ".intake.lock"), pytest.raises(KitError, match="Another run"):
        klass.gather(folders(klass))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda t: t / "nothing", "nothing of this name"),
        (lambda t: made_class.write(t, {"a.txt": "x"}) / "a.txt", "neither a folder nor"),
        (lambda t: made_class.write(t, {"empty/.DS_Store": "x"}) / "empty", "no submissions"),
        (lambda t: made_class.write(t, {"a.zip": b"x"}) / "a.zip", "not an archive"),
    ],
)
def test_what_cannot_be_a_class_is_refused(klass, make, says):
    with pytest.raises(KitError, match=says) as caught:
        klass.gather(make(klass.tmp))
    assert caught.value.remedy


AS_NOBODY = """
import os, sys
from pathlib import Path
from grader import grading, lab
from grader.intake.gather import gather
source, folder, out = map(Path, sys.argv[1:])
loaded = lab.load(folder)
if os.geteuid() == 0:  # whom rights do not stop
    os.chown(out, 65534, 65534)
    os.setgid(65534)
    os.setuid(65534)
for entry in gather(source, loaded, out).entries:
    print(entry.person.id, entry.refused)
"""


def test_what_cannot_be_read_costs_only_itself():
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        klass = Class(Path(place), count=3)
        source = folders(klass)
        (source / "s0000001").chmod(0)
        (source / "s0000002/words/words.txt").chmod(0)
        klass.out.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, *map(str, (source, klass.lab.folder, klass.out))],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        (source / "s0000001").chmod(0o755)
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert "Permission denied" in said["s0000001"], done.stderr
    assert "Permission denied" in said["s0000002"]
    assert said["s0000003"] == "None"


AS_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from grader import grading, lab
from grader.errors import KitError
from grader.intake.gather import gather
source, folder, out = map(Path, sys.argv[1:])
loaded = lab.load(folder)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    gather(source, loaded, out)
except KitError as error:
    print(error)
"""


def test_a_full_disk_is_said_and_is_nobodys_fault(klass):
    source = folders(klass)
    first = klass.gather(source, roster=False)
    made_class.write(source, {"s0000003/words/large": "x" * 6000})
    done = subprocess.run(
        [sys.executable, "-c", AS_ON_A_FULL_DISK, *map(str, (source, klass.lab.folder, klass.out))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "The results folder cannot be used: File too large" in done.stdout, done.stderr
    assert results.load(klass.out) == first
    klass.all_right(klass.gather(source, roster=False))


def test_links_among_the_submissions_are_not_followed(klass):
    source = folders(klass)
    (source / "s0000001").rename(klass.tmp / "elsewhere")
    (source / "s0000001").symlink_to(klass.tmp / "elsewhere")
    (source / "Ada Lovelace_50001_assignsubmission_file_").symlink_to(klass.tmp / "elsewhere")
    found = klass.gather(source)
    assert [p.id for p in found.missing] == ["s0000001"]
    assert len(found.unmatched) == 2
    assert "link" in found.unmatched[0].reason


def test_another_labs_results_are_not_written_over(klass):
    klass.gather(folders(klass))
    before = (klass.out / "class.json").read_text()
    changed = before.replace('"lab": "toy"', '"lab": "other"')
    (klass.out / "class.json").write_text(changed)
    with pytest.raises(KitError, match="results of other"):
        klass.gather(klass.tmp / "class")
    assert (klass.out / "class.json").read_text() == changed


def test_a_results_folder_that_cannot_be_made_is_a_clear_error(klass):
    klass.out = made_class.write(klass.tmp, {"file": "x"}) / "file/results"
    with pytest.raises(KitError, match="cannot be used"):
        klass.gather(folders(klass))
