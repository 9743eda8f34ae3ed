"""A class with strangers in it: names, links and archives reach nothing but their own folder."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from grader.classroom import results
from grader.classroom.intake import git
from grader.cli.watching import Watch
from grader.errors import KitError
from grader.submission import files as submission
from grader.submission import manifest, pack
from grader.submission.archives import members, names, readers, unpack
from grader.submission.archives.names import NotUnpacked
from grader.submission.archives.unpack import Limits
from tests.unit import made_class, outside, sample_class
from tests.unit.handed_in import Class
from tests.unit.submission.archives.test_unpack import a_tar, a_zip, refused

POSIX = pytest.mark.skipif(os.name != "posix", reason="links and pipes as POSIX has them")


@pytest.fixture
def klass(tmp_path: Path) -> Class:
    return Class(tmp_path, count=3)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A folder outside with a class's files in it, which is the same afterwards."""
    folder = made_class.write(
        tmp_path / "victim",
        {"words/words.txt": "secret", "numbers/a.txt": "secret", "drydock.json": "{}"},
    )
    before = outside.snapshot(folder)
    yield folder
    assert outside.snapshot(folder) == before


HOSTILE_TOPS = [
    "\\\\localhost\\share",
    "C:\\victim",
    "C:victim",
    "x\0y",
    "aux",
    "nul.s0000009",
    "s0000009:stream",
    "s0000009.",
    "s0000009 ",
    "\x1b[2Js0000009",
    "a\\b",
    "?" * 300,
]


@pytest.mark.parametrize("top", HOSTILE_TOPS)
@pytest.mark.parametrize("below", ["", "class/"])
def test_a_hostile_name_at_the_top_costs_only_itself(klass: Class, top: str, below: str) -> None:
    """What is at the top names a place in our folder, which is removed where it is refused."""
    files = [
        (tarfile.TarInfo(f"{below}{student}/{name}"), b"1")
        for student in klass.folders
        for name in ("words/words.txt", "numbers/a.txt")
    ]
    bad = with_pax("bad", path=f"{below}{top}/words/words.txt")
    path = a_tar(klass.tmp / "in" / "all.tar", *files, (bad, b"2"))
    before = outside.snapshot(klass.tmp, but=[klass.out])
    if not below and (top[0] == "\\" or top[1] == ":"):
        with pytest.raises(KitError, match="absolute"):
            klass.gather(path, roster=False)
    else:
        found = klass.gather(path, roster=False)
        good = [e for e in found.entries if e.refused is None]
        assert [e.person.id for e in good] == sorted(klass.folders)
        told = [u.reason for u in found.unmatched] + [e.refused for e in found.entries]
        assert any(why and ("Windows" in why or "characters" in why) for why in told)
    assert outside.snapshot(klass.tmp, but=[klass.out]) == before


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()


def test_a_hostile_name_takes_nobodys_place(klass: Class) -> None:
    path = a_tar(
        klass.tmp / "in" / "all.tar",
        (with_pax("bad", path="s0000001:/words/words.txt"), b"bad"),
        (with_pax("bad", path="s0000001_/words/words.txt"), b"good"),
        (tarfile.TarInfo("s0000002/words/words.txt"), b"1"),
    )
    found = klass.gather(path, roster=False)
    assert [(e.person.id, e.refused) for e in found.entries] == [
        ("s0000001", None),
        ("s0000002", None),
    ]
    assert "Windows" not in (found.entries[1].refused or "")
    assert any("set aside" in remark for remark in found.entries[0].remarks)


@pytest.mark.parametrize("name", [*HOSTILE_TOPS, "", ".", "..", "/", "CON", "x" * 500, "é" * 300])
def test_a_safe_name_is_one(name: str) -> None:
    made = names.safe(name)
    names.check((made,))
    assert names.parts(made) == (made,)


@POSIX
def test_links_in_a_folder_of_submissions_are_named_and_not_followed(
    klass: Class, victim: Path
) -> None:
    source = made_class.folder_of_folders(klass.folders, klass.tmp / "in" / "all")
    (source / "s0000009").symlink_to(victim)
    (source / "s0000008").symlink_to("s0000008")
    (source / "nowhere").symlink_to(klass.tmp / "none")
    shutil.rmtree(source / "s0000001/words")
    (source / "s0000001/words").symlink_to(victim / "words")
    (source / "s0000002/numbers/a.txt").unlink()
    (source / "s0000002/numbers/a.txt").symlink_to(victim / "numbers/a.txt")
    found = klass.gather(source)
    assert sorted(u.source.rpartition("/")[2] for u in found.unmatched) == [
        "nowhere",
        "s0000008",
        "s0000009",
    ]
    remarks = {e.person.id: " ".join(e.remarks) for e in found.entries}
    assert "words was left out: it is a link" in remarks["s0000001"]
    assert "numbers/a.txt was left out: it is a link" in remarks["s0000002"]
    assert b"secret" not in b"".join(
        p.read_bytes() for p in (klass.out / "submissions").rglob("*") if p.is_file()
    )


@POSIX
def test_a_folder_of_one_link_is_not_entered(klass: Class, victim: Path) -> None:
    source = klass.tmp / "in" / "all"
    source.mkdir()
    (source / "inner").symlink_to(victim)
    found = klass.gather(source)
    assert found.entries == ()
    assert "link" in found.unmatched[0].reason


@POSIX
@pytest.mark.parametrize("name", ["drydock.json", "worksheet.ipynb", "words/words.txt"])
def test_a_pipe_in_a_files_place_keeps_nobody_waiting(klass: Class, name: str) -> None:
    source = made_class.folder_of_folders(klass.folders, klass.tmp / "in" / "all")
    (source / "s0000001" / name).unlink(missing_ok=True)
    os.mkfifo(source / "s0000001" / name)
    found = klass.gather(source)
    assert [e.refused for e in found.entries] == [None] * 3
    assert manifest.read(source / "s0000001") is None


@pytest.mark.parametrize(
    "name",
    [
        "\\\\localhost\\share\\f",
        "//localhost/share/f",
        "C:/f",
        "a/C:/f",
        "/f",
        "~/f",
        "../f",
        "a/../../f",
        "./words.txt",
        "a//words.txt",
        "a/./words.txt",
        "",
        ".",
        "nul\0",
        "x" * 3000,
    ],
)
def test_a_manifests_names_are_inside_and_written_in_one_way(name: str) -> None:
    text = json.dumps({"schema": 1, "lab": "lab4", "student": "s1", "files": {name: "x", "a": "y"}})
    read = manifest.from_json(text)
    assert read is not None
    assert read.files == {"a": "y"}


def test_a_manifests_names_are_only_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads to a large file in thousands of ways would be read as often."""
    made_class.write(tmp_path / "s", {"words/words.txt": "1", "B": "2"})
    opened = []

    def noted(member: members.Member) -> str:
        opened.append(member.name)
        return "other"

    monkeypatch.setattr(manifest, "_digest", noted)
    told = {f"{'./' * n}words/words.txt": "x" for n in range(50)} | {"b": "x", "B": "x", "c": "x"}
    found = manifest.Manifest("lab4", "s1", told)
    assert len(found.changed(tmp_path / "s")) == len(told)
    assert sorted(opened) == ["B", "words/words.txt"]


def test_archives_in_one_submission_share_its_limits(
    klass: Class, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve archives of 200 MB each would be 2.4 GB of one student's."""
    limits = Limits(total_bytes=1500)
    monkeypatch.setattr(unpack, "unpack", partial(unpack.unpack, limits=limits))
    source = klass.tmp / "in" / "all" / "s0000001"
    source.mkdir(parents=True)
    for number in range(3):
        a_zip(source / f"{number}.zip", {f"part{number}/words.txt": b"x" * 600})
    found = klass.gather(source.parent)
    (entry,) = found.entries
    assert "MB unpacked" in (entry.refused or "")


def test_headers_of_a_tar_are_not_kept(tmp_path: Path) -> None:
    """A tar of headers alone packs a thousand to one."""
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as made:
        for number in range(40):
            info = tarfile.TarInfo(f"f{number}")
            info.pax_headers = {"comment": "x" * 200_000}
            made.addfile(info)
    tracemalloc.start()
    try:
        count = sum(1 for _ in readers.members(path, max_listing=10**9, max_bytes=10**9))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 40
    assert peak < 40 * 200_000 / 2


def with_pax(name: str, **headers: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.pax_headers = headers
    return info


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("../../etc/x", "leads out"),
        ("/etc/x", "absolute"),
        ("//server/x", "absolute"),
        ("\\\\server\\x", "absolute"),
        ("C:/x", "absolute"),
        ("a/con", "device"),
        ("a/COM1.txt", "device"),
        ("a/b:stream", "Windows"),
    ],
)
@pytest.mark.parametrize("globally", [False, True])
def test_a_tars_second_header_names_no_other_place(
    tmp_path: Path, path: str, says: str, globally: bool
) -> None:
    made = tmp_path / "a.tar"
    with tarfile.open(
        made, "w", format=tarfile.PAX_FORMAT, pax_headers={"path": path} if globally else None
    ) as tar:
        tar.addfile(with_pax("good", **({} if globally else {"path": path})))
    refused(made, says)


@pytest.mark.parametrize("path", ["../" * 60 + "etc/x", "/" + "d/" * 60 + "x"])
def test_gnus_long_names_are_names_like_any_other(tmp_path: Path, path: str) -> None:
    made = tmp_path / "a.tar"
    with tarfile.open(made, "w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo(path))
    refused(made, "leads out|absolute")


def test_a_hard_link_is_no_way_out(tmp_path: Path) -> None:
    made = tmp_path / "a.tar"
    with tarfile.open(made, "w") as tar:
        for kind in (tarfile.LNKTYPE, tarfile.SYMTYPE):
            info = tarfile.TarInfo(f"link{kind!r}"[:5] + str(kind[0]))
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    writer = unpack.unpack(made, tmp_path / "out")
    assert len(writer.left_out) == 2
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("what", ["name", "method", "size"])
def test_a_zip_that_says_two_things_of_a_file_is_refused(tmp_path: Path, what: str) -> None:
    """The entry's own header differs from the one in the directory at the end."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("good.txt", b"x" * 1000)
    data = bytearray(path.read_bytes())
    if what == "name":
        data[30:38] = b"evil.txt"
    else:
        at = bytes(data).index(b"PK\x01\x02")
        place, value = (at + 10, b"\0\0") if what == "method" else (at + 24, b"\1\0\0\0")
        data[place : place + len(value)] = value
    path.write_bytes(data)
    refused(path, "damaged")


def loose(objects: Path, content: bytes) -> str:
    """Store a commit in a repository's folder of objects; its ID."""
    import hashlib

    whole = b"commit %d\0" % len(content) + content
    name = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
    (objects / name[:2]).mkdir(parents=True, exist_ok=True)
    (objects / name[:2] / name[2:]).write_bytes(zlib.compress(whole, 1))
    return name


def commit(size: int = 0) -> bytes:
    return (
        b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"
        b"author A <a@b> 1700000000 +0100\ncommitter A <a@b> 1700000000 +0100\n\n" + b"m" * size
    )


def a_clone(folder: Path, size: int = 0) -> Path:
    objects = folder / ".git" / "objects"
    name = loose(objects, commit(size))
    (folder / ".git/refs/heads").mkdir(parents=True)
    (folder / ".git/refs/heads/main").write_text(f"{name}\n", encoding="ascii")
    (folder / ".git/HEAD").write_text("ref: refs/heads/main\n", encoding="ascii")
    return folder


def linked_refs(clone: Path) -> None:
    (clone / ".git/refs").rename(clone.parent / "refs")
    (clone / ".git/refs").symlink_to(clone.parent / "refs")


def linked_objects(clone: Path) -> None:
    (clone / ".git/objects").rename(clone.parent / "objects")
    (clone / ".git/objects").symlink_to(clone.parent / "objects")


def borrowed_objects(clone: Path) -> None:
    (clone / ".git/objects").rename(clone.parent / "objects")
    (clone / ".git/objects/info").mkdir(parents=True)
    (clone / ".git/objects/info/alternates").write_text(f"{clone.parent / 'objects'}\n")


def head_is_a_pipe(clone: Path) -> None:
    (clone / ".git/HEAD").unlink()
    os.mkfifo(clone / ".git/HEAD")


@POSIX
@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_clones_time_is_its_own(tmp_path: Path) -> None:
    assert git.last_commit(a_clone(tmp_path / "clone")) == "2023-11-14T23:13:20+01:00"
    for number, spoil in enumerate((linked_refs, linked_objects, borrowed_objects, head_is_a_pipe)):
        clone = a_clone(tmp_path / str(number) / "clone")
        spoil(clone)
        assert git.last_commit(clone) is None, spoil
    assert git.last_commit(a_clone(tmp_path / "two\nlines")) is None


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_huge_commit_fills_no_memory(tmp_path: Path) -> None:
    clone = a_clone(tmp_path / "clone", size=53_000_000)
    assert (clone / ".git/objects").is_dir()
    assert git.last_commit(clone) is None


def listed(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A results folder whose list a stranger has changed."""
    made = sample_class.make(folder, size=3)
    data = json.loads(made.file.read_text(encoding="utf-8"))
    change(data)
    made.file.write_text(json.dumps(data), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "name",
    ["../../victim", "/victim", "\\\\host\\x", "C:x", "a/b", "", ".", "..", "con", "x\0", 7, None],
)
@pytest.mark.parametrize("where", ["entries", "missing"])
def test_a_list_of_results_names_no_other_place(tmp_path: Path, name: Any, where: str) -> None:
    def change(data: dict[str, Any]) -> None:
        one = data[where][0]
        (one["person"] if where == "entries" else one)["id"] = name

    with pytest.raises(KitError, match="cannot be read"):
        results.load(listed(tmp_path / "r", change))


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "..", "a/b", "", 7])
def test_a_list_of_results_names_no_lab_elsewhere(tmp_path: Path, name: Any) -> None:
    with pytest.raises(KitError, match="cannot be read"):
        results.load(listed(tmp_path / "r", lambda data: data.update(lab=name)))


@POSIX
@pytest.mark.parametrize("inner", ["feedback", "records", "class", "exports", "submissions"])
def test_results_are_not_written_through_links(tmp_path: Path, victim: Path, inner: str) -> None:
    folder = sample_class.make(tmp_path / "r", size=3).folder
    shutil.rmtree(folder / inner, ignore_errors=True)
    (folder / inner).symlink_to(victim)
    with pytest.raises(KitError, match="This is a link") as caught:
        results.load(folder)
    assert caught.value.where == str(folder / inner)


@POSIX
def test_a_pipe_for_a_list_keeps_nobody_waiting(tmp_path: Path) -> None:
    folder = sample_class.make(tmp_path / "r", size=3).folder
    student = sample_class.student(0)
    for file in ("class.json", "marks.csv", f"records/{student}.json"):
        (folder / file).unlink(missing_ok=True)
        os.mkfifo(folder / file)
    with pytest.raises(KitError, match="no ordinary file"):
        results.load(folder)
    assert results.Results(folder, "lab4").record(student) is None
    from grader.classroom import csvfile

    with pytest.raises(KitError, match="no ordinary file"):
        csvfile.read(folder / "marks.csv")


@POSIX
def test_what_is_exchanged_after_it_was_read_is_not_copied(tmp_path: Path, victim: Path) -> None:
    made_class.write(tmp_path / "w", {"words/words.txt": "1", "words/pipe": "2", "numbers/a": "3"})
    for spoil in ("link", "folder", "pipe"):
        work = tmp_path / spoil
        shutil.copytree(tmp_path / "w", work)
        found = submission.read(work, ["words", "numbers"])
        if spoil == "link":
            (work / "words/words.txt").unlink()
            (work / "words/words.txt").symlink_to(victim / "words/words.txt")
        elif spoil == "folder":
            shutil.rmtree(work / "words")
            (work / "words").symlink_to(victim / "words")
        else:
            (work / "words/pipe").unlink()
            os.mkfifo(work / "words/pipe")
        with pytest.raises(KitError, match="cannot be copied"):
            found.copy(tmp_path / f"copied-{spoil}")
        copied = (tmp_path / f"copied-{spoil}").rglob("*")
        assert all(b"secret" not in p.read_bytes() for p in copied if p.is_file())
        assert not any(p.is_symlink() for p in (tmp_path / f"copied-{spoil}").rglob("*"))


def test_what_has_grown_since_it_was_read_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_class.write(tmp_path, {"words/words.txt": "1"})
    monkeypatch.setattr(submission, "MAX_BYTES", 1000)
    found = submission.read(tmp_path, ["words"])
    (tmp_path / "words/words.txt").write_bytes(b"x" * 1001)
    with pytest.raises(KitError, match="too large"):
        found.copy(tmp_path / "copied")
    assert not (tmp_path / "copied/words/words.txt").exists()


def test_folders_without_end_are_refused(tmp_path: Path) -> None:
    deep = tmp_path / "words"
    for _ in range(submission.MAX_DEPTH + 2):
        deep = deep / "d"
    deep.mkdir(parents=True)
    with pytest.raises(KitError, match="nested more than"):
        submission.read(tmp_path, ["words"])


@POSIX
def test_links_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "MAX_ENTRIES", 50)
    (tmp_path / "words").mkdir()
    for number in range(51):
        (tmp_path / f"words/{number}").symlink_to("nowhere")
    with pytest.raises(KitError, match="too large"):
        submission.read(tmp_path, ["words"])


@POSIX
def test_nothing_is_watched_through_a_link(klass: Class, victim: Path) -> None:
    work = klass.tmp / "w"
    work.mkdir()
    (work / "words").symlink_to(victim / "words")
    watch = Watch(work, klass.lab.exercises)
    assert all(seen == {} for seen in watch._seen.values())


@POSIX
def test_an_archive_to_hand_in_holds_nothing_from_outside(klass: Class, victim: Path) -> None:
    work = klass.folders["s0000001"]
    (work / "words/secret.yaml").symlink_to(victim / "words/words.txt")
    (work / "more").symlink_to(victim)
    (klass.tmp / "endless").symlink_to("/dev/zero")
    (work / "words/zero.yml").symlink_to("/dev/zero")
    os.mkfifo(work / "words/pipe.yaml")
    made = pack.pack(klass.lab, "s0000001", work, klass.tmp / "handin")
    assert len(made.left_out) == 4
    with zipfile.ZipFile(made.file) as packed:
        assert not any(b"secret" in packed.read(name) for name in packed.namelist())
    assert made.file.stat().st_mode & 0o077 == 0


def test_a_name_that_a_disk_knows_twice_is_refused(tmp_path: Path) -> None:
    """Windows has short names, too: COMPOS~1.YAM may be compose.yaml."""
    (tmp_path / "COMPOS~1.YAM").write_bytes(b"")
    for name in ("COMPOS~1.YAM", "COMPOS~1.YAM/x"):
        with pytest.raises(NotUnpacked, match="twice"):
            unpack.SafeWriter(tmp_path).take(members.of_file(Path(__file__), name))
