"""The same class again, what is broken in it, and what comes in between: intake loses nothing."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from grader.classroom import results
from grader.errors import KitError
from tests.unit import made_class
from tests.unit.handed_in import Class, Layout, folders, moodle, zips, zips_in_folders
from tests.unit.submission.archives.test_unpack import written


@pytest.fixture
def klass(tmp_path: Path) -> Class:
    return Class(tmp_path)


@pytest.mark.parametrize("layout", [folders, zips])
def test_one_students_alone_is_a_class_of_one(klass: Class, layout: Layout) -> None:
    source = layout(klass)
    one = sorted(source.iterdir())[3]
    found = klass.gather(one)
    assert [e.person.id for e in found.entries] == ["s0000004"]
    assert len(found.missing) == 9


def test_a_second_time_leaves_what_has_not_changed_where_it_is(klass: Class) -> None:
    source = folders(klass)
    first = klass.gather(source)
    kept = {e.person.id: first.submission(e.person.id).stat().st_ino for e in first.entries}
    (source / "s0000001/words/words.txt").write_text("new")
    (klass.out / "submissions/s0000002/words/words.txt").write_text("someone's pencil")
    second = klass.gather(source)
    now = {e.person.id: second.submission(e.person.id).stat().st_ino for e in second.entries}
    assert {s for s in kept if kept[s] != now[s]} == {"s0000001", "s0000002"}
    assert (second.submission("s0000001") / "words/words.txt").read_text() == "new"
    assert (second.submission("s0000002") / "words/words.txt").read_text() == "hello s0000002"


@pytest.mark.parametrize("layout", [folders, moodle])
def test_the_same_again_is_not_unpacked_again(klass: Class, layout: Layout) -> None:
    source = layout(klass)
    first = klass.gather(source)
    told: list[tuple[int, int, str]] = []
    assert klass.gather(source, progress=lambda *step: told.append(step)) == first
    assert [t[:2] for t in told] == [(0, 0)]


def test_a_changed_roster_or_a_touched_submission_is_noticed(klass: Class) -> None:
    source = moodle(klass)
    klass.gather(source)
    shutil.rmtree(klass.out / "submissions/s0000003")
    klass.all_right(klass.gather(source))
    more = made_class.people(11)
    made_class.roster_csv(more, klass.roster)
    assert [p.id for p in klass.gather(source).missing] == ["s0000011"]


def test_what_was_found_alike_is_kept(klass: Class) -> None:
    source = folders(klass)
    first = klass.gather(source)
    alike = (results.Similarity("file", ("s0000001", "s0000002"), "words/a"),)
    first.with_similarities(alike).save()
    assert klass.gather(source).similarities == alike


def test_progress_is_told(klass: Class) -> None:
    told: list[tuple[int, int, str]] = []
    klass.gather(folders(klass), progress=lambda *step: told.append(step))
    assert [t[:2] for t in told] == [(0, 0), *((n, 10) for n in range(11))]


def test_the_source_is_only_read(klass: Class) -> None:
    source = zips_in_folders(klass)
    before = written(source)
    klass.gather(source)
    assert written(source) == before


def test_results_within_the_source_are_no_submission(klass: Class) -> None:
    source = folders(klass)
    klass.out = source / "results"
    shutil.copy(klass.roster, source / "roster.csv")
    klass.roster = source / "roster.csv"
    klass.gather(source)
    klass.all_right(klass.gather(source))


def test_killed_at_any_moment_it_comes_to_the_same_end(klass: Class) -> None:
    source = moodle(klass)
    script = (
        "import sys\nfrom pathlib import Path\nfrom grader.lab import labfile\n"
        "from grader.classroom.intake.gather import gather\n"
        "p = [Path(a) for a in sys.argv[1:]]\n"
        "gather(p[0], labfile.load(p[1]), p[2], p[3], lambda *_: print(*_, flush=True))\n"
    )
    words = [sys.executable, "-c", script, source, klass.lab.folder, klass.out, klass.roster]
    for lines in (1, 3, 6, 9, 11):
        run = subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, text=True)
        assert run.stdout is not None
        for _ in range(lines):
            run.stdout.readline()
        time.sleep(0.002 * lines)
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stdout.close()
    klass.all_right(klass.gather(source))


def test_two_at_once_do_not_meet(klass: Class) -> None:
    (klass.out).mkdir()
    with FileLock(klass.out / ".intake.lock"), pytest.raises(KitError, match="Another run"):
        klass.gather(folders(klass))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda t: t / "nothing", "does not exist"),
        (lambda t: made_class.write(t, {"a.txt": "x"}) / "a.txt", "neither a folder nor"),
        (lambda t: made_class.write(t, {"empty/.DS_Store": "x"}) / "empty", "no submissions"),
        (lambda t: made_class.write(t, {"a.zip": b"x"}) / "a.zip", "not an archive"),
    ],
)
def test_what_cannot_be_a_class_is_refused(
    klass: Class, make: Callable[[Path], Path], says: str
) -> None:
    with pytest.raises(KitError, match=says) as caught:
        klass.gather(make(klass.tmp))
    assert caught.value.remedy


AS_NOBODY = """
import os, sys
from pathlib import Path
from grader.lab import labfile
from grader.classroom.intake.gather import gather
source, folder, out = map(Path, sys.argv[1:])
loaded = labfile.load(folder)
if os.geteuid() == 0:  # whom rights do not stop
    os.chown(out, 65534, 65534)
    os.setgid(65534)
    os.setuid(65534)
for entry in gather(source, loaded, out).entries:
    print(entry.person.id, entry.refused)
"""


def test_what_cannot_be_read_costs_only_itself() -> None:
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
from grader.lab import labfile
from grader.errors import KitError
from grader.classroom.intake.gather import gather
source, folder, out = map(Path, sys.argv[1:])
loaded = labfile.load(folder)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    gather(source, loaded, out)
except KitError as error:
    print(error)
"""


def test_a_full_disk_is_said_and_is_nobodys_fault(klass: Class) -> None:
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


def test_links_among_the_submissions_are_not_followed(klass: Class) -> None:
    source = folders(klass)
    (source / "s0000001").rename(klass.tmp / "elsewhere")
    (source / "s0000001").symlink_to(klass.tmp / "elsewhere")
    (source / "Ada Lovelace_50001_assignsubmission_file_").symlink_to(klass.tmp / "elsewhere")
    found = klass.gather(source)
    assert [p.id for p in found.missing] == ["s0000001"]
    assert len(found.unmatched) == 2
    assert "link" in found.unmatched[0].reason


def test_another_labs_results_are_not_written_over(klass: Class) -> None:
    klass.gather(folders(klass))
    before = (klass.out / "class.json").read_text()
    changed = before.replace('"lab": "toy"', '"lab": "other"')
    (klass.out / "class.json").write_text(changed)
    with pytest.raises(KitError, match="results of other"):
        klass.gather(klass.tmp / "class")
    assert (klass.out / "class.json").read_text() == changed


def test_a_results_folder_that_cannot_be_made_is_a_clear_error(klass: Class) -> None:
    klass.out = made_class.write(klass.tmp, {"file": "x"}) / "file/results"
    with pytest.raises(KitError, match="cannot be used"):
        klass.gather(folders(klass))
