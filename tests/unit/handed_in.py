"""A small class and what a tutor may have of it: the vocabulary of the tests of intake."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from grader.classroom import results
from grader.classroom.intake.gather import Progress, digest_of, gather
from tests.unit import made_class, toy_lab
from tests.unit.submission.archives.test_unpack import written


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

    def gather(
        self, source: Path, *, roster: bool = True, progress: Progress = lambda *_: None
    ) -> results.Results:
        return gather(source, self.lab, self.out, self.roster if roster else None, progress)

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


Layout = Callable[[Class], Path]


def moodle(c: Class) -> Path:
    return made_class.moodle_zip(c.people, c.folders, c.tmp / "m.zip", loose=["s0000002"])


def unzipped(path: Path, dest: Path) -> Path:
    """As unzip does it, with modes, which Python's own extractall forgets."""
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            Path(archive.extract(info, dest)).chmod(info.external_attr >> 16)
    return dest


def moodle_below_a_folder(c: Class) -> Path:
    unzipped(moodle(c), c.tmp / "x/lab 4 (1)")
    shutil.make_archive(str(c.tmp / "wrapped"), "zip", c.tmp / "x")
    return c.tmp / "wrapped.zip"


def moodle_unpacked(c: Class) -> Path:
    return unzipped(moodle(c), c.tmp / "unpacked")


def moodle_flat(c: Class) -> Path:
    dest = c.tmp / "flat"
    for p in c.people:
        name = f"{p.name}_{p.numbers['moodle']}_assignsubmission_file_my_lab.zip"
        made_class.zip_of(c.folders[p.id], dest / name)
    return dest


def canvas(c: Class) -> Path:
    return made_class.canvas_zip(c.people, c.folders, c.tmp / "submissions.zip")


def canvas_unpacked(c: Class) -> Path:
    return unzipped(canvas(c), c.tmp / "unpacked")


def folders(c: Class) -> Path:
    return made_class.folder_of_folders(c.folders, c.tmp / "class")


def folders_zipped(c: Class) -> Path:
    shutil.make_archive(str(c.tmp / "class"), "gztar", folders(c))
    return c.tmp / "class.tar.gz"


def folders_in_groups(c: Class) -> Path:
    for index, (student, folder) in enumerate(c.folders.items()):
        shutil.copytree(folder, c.tmp / "class" / f"group {index % 2}" / student)
    return c.tmp / "class"


def folders_by_name(c: Class) -> Path:
    for p in c.people:
        last, first = p.name.split()[-1], " ".join(p.name.split()[:-1])
        shutil.copytree(c.folders[p.id], c.tmp / "class" / f"{last}, {first}")
    return c.tmp / "class"


def folders_by_address(c: Class) -> Path:
    for p in c.people:
        shutil.copytree(c.folders[p.id], c.tmp / "class" / p.email)
    return c.tmp / "class"


def zips(c: Class) -> Path:
    return made_class.folder_of_archives(c.folders, c.tmp / "class")


def tars(c: Class) -> Path:
    return made_class.folder_of_archives(c.folders, c.tmp / "class", ".tar.gz")


def zips_by_login(c: Class) -> Path:
    for p in c.people:
        made_class.zip_of(c.folders[p.id], c.tmp / "class" / f"{p.numbers['login']}.zip", "my work")
    return c.tmp / "class"


def zips_in_folders(c: Class) -> Path:
    for p in c.people:
        made_class.zip_of(c.folders[p.id], c.tmp / "class" / p.id / "final FINAL.zip")
    return c.tmp / "class"


def clones(c: Class) -> Path:
    for student, folder in c.folders.items():
        made_class.git_clone(folder, c.tmp / "class" / f"lab4-{student}")
    return c.tmp / "class"


def mixed(c: Class) -> Path:
    """Someone put everything that came, by whichever way, into one folder."""
    thirds = [{p.id: c.folders[p.id] for p in c.people[n::3]} for n in range(3)]
    made_class.folder_of_folders(thirds[0], c.tmp / "class")
    made_class.folder_of_archives(thirds[1], c.tmp / "class", ".tar.xz")
    for p in c.people:
        if p.id in thirds[2]:
            name = made_class.canvas_name(p, "lab.zip", late=True)
            made_class.zip_of(c.folders[p.id], c.tmp / "class" / name)
    return c.tmp / "class"
