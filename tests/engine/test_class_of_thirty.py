"""A class of thirty, from Moodle's zip to the files for each LMS, with all that goes wrong."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from grader.classroom import results
from tests.engine import kit
from tests.engine.small_class import Class
from tests.unit import made_class

pytestmark = pytest.mark.engine

THIRTY = made_class.people(30)
ABSENT = THIRTY[29]
"""Is in the roster and handed nothing in."""
LAZY = THIRTY[28]
"""Handed in what only a later version of a check notices."""
PARTS = {(p.id, name) for p in THIRTY if p != ABSENT for name in ("one", "three")}


def moodle(folder: Path) -> Path:
    """What Moodle gives: thirty folders, one of them of someone who is in no roster."""
    folders = {}
    for person in THIRTY:
        if person == ABSENT:
            continue
        text = "lazy" if person == LAZY else f"work of {person.name}"
        files = {"one/file.txt": f"{text}\n", "three/file.txt": "well\n"}
        folders[person.id] = made_class.write(folder / "work" / person.id, files)
    download = made_class.moodle_zip(THIRTY, folders, folder / "download.zip", loose=["s0000007"])
    with zipfile.ZipFile(download, "a") as archive:
        archive.writestr("No one Known_99999_assignsubmission_file_/one/file.txt", "well\n")
    return download


def worksheet(folder: Path) -> Path:
    """The grading worksheet of the teacher's Moodle."""
    lines = ["Identifier,Full name,Email address,Grade,Maximum grade,Last modified (grade),"
             "Feedback comments"]  # fmt: skip
    lines += [f"Participant {p.numbers['moodle']},{p.name},{p.email},,4.00,-," for p in THIRTY]
    file = folder / "worksheet.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def gradebook(folder: Path) -> Path:
    """The gradebook that Canvas exports."""
    lines = ["Student,ID,SIS User ID,SIS Login ID,Section,Lab (4711)", "    Points Possible,,,,,4"]
    lines += [
        f'"{p.name}",{p.numbers["canvas"]},{p.numbers["sis"]},{p.numbers["login"]},A,'
        for p in THIRTY
    ]
    file = folder / "gradebook.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        return list(csv.DictReader(opened))


def test_a_class_is_graded_interrupted_resumed_regraded_and_exported(
    tmp_path: Path, image_set: Any
) -> None:
    one = Class(tmp_path, {})
    (one.out / "class.json").unlink()
    download = moodle(tmp_path)
    roster = made_class.roster_csv(THIRTY, tmp_path / "roster.csv")
    command = [*one.where, download, "--roster", roster]

    # Interrupted twice, once politely and once not.
    running = kit.Running(*command)
    running.until("s0000002: 4 of 4 points")
    assert running.interrupt() == 130, running.said
    first = one.graded()
    running = kit.Running(*command)
    running.until("s0000009: 4 of 4 points")
    running.kill()
    second = one.graded()
    assert first.keys() < second.keys()
    assert all(second[part] == result for part, result in first.items())

    # Resumed: 3, since someone in the download is no one's; nothing is graded twice.
    done = kit.run(*command)
    assert done.returncode == 3, done.stderr
    assert "No one Known_99999" in done.stderr
    whole = one.graded()
    assert whole.keys() == PARTS
    assert all(whole[part] == result for part, result in second.items())
    assert {result.score for result in whole.values()} == {2}
    assert [person.id for person in results.load(one.out).missing] == [ABSENT.id]

    # A changed check replaces nothing by itself.
    checks = one.lab.folder / "checks/one/check_one.py"
    text = checks.read_text(encoding="utf-8")
    stricter = """    if "lazy" in (submission / "one/file.txt").read_text(encoding="utf-8"):
        fail("This is not enough.", hint="Write more.")
"""
    begin, end = text.split("\n\n\n@check(points=1)\n")
    checks.write_text(f"{begin}\n{stricter}\n\n@check(points=1)\n{end}", encoding="utf-8")
    again = kit.run(*command)
    assert "earlier version" in again.stderr
    assert "--regrade shows what would change" in again.stderr
    assert one.graded() == whole
    regraded = kit.run(*command, "--regrade")
    assert one.graded() == whole
    assert LAZY.id in regraded.stdout
    assert {row["student"] for row in table(one.out / "regrade.csv")} == {LAZY.id}
    kit.run(*command, "--regrade", "--replace")
    after = one.graded()
    assert after.keys() == PARTS
    assert [part for part, result in after.items() if result.score != 2] == [(LAZY.id, "one")]
    assert len(list((one.out / "replaced").glob("*/*.json"))) == 29

    # Into every format.
    sheets = {
        "moodle": ("--worksheet", worksheet(tmp_path)),
        "canvas": ("--worksheet", gradebook(tmp_path), "--assignment", "4711"),
    }
    for name in ("plain", "moodle", "canvas", "gradescope", "nbgrader", "junit"):
        out = tmp_path / "exports" / name
        out.mkdir(parents=True)
        made = kit.run(
            "export", name, one.out, "--lab", one.lab.folder, "--out", out, *sheets.get(name, ())
        )
        assert made.returncode == 0, made.stderr
    exports = tmp_path / "exports"
    filled = {row["Identifier"]: row for row in table(next((exports / "moodle").glob("*.csv")))}
    assert len(filled) == 30
    assert float(filled["Participant 50029"]["Grade"]) == 3
    assert filled["Participant 50030"]["Grade"] == ""
    points = {row["SIS User ID"]: row for row in table(next((exports / "canvas").glob("*.csv")))}
    assert float(points["sis-1"]["Lab (4711)"]) == 4
    assert points["sis-30"]["Lab (4711)"] == ""
    told = json.loads((next((exports / "gradescope").rglob("s0000001/results.json"))).read_text())
    assert told["score"] == 4
    assert not list((exports / "gradescope").rglob(f"{ABSENT.id}/*"))
