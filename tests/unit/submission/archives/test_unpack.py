"""Unpacking takes ordinary files by limits, and refuses what is hostile or broken as a whole."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.submission.archives import names
from grader.submission.archives import unpack as archive
from grader.submission.archives.members import Member
from grader.submission.archives.names import NotUnpacked
from grader.submission.archives.unpack import Limits, unpack


def a_zip(path: Path, files: dict[str, bytes], **modes: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return path


def zip_with(path: Path, *infos: tuple[zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for info, content in infos:
            made.writestr(info, content)
    return path


def unix(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def a_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as made:  # type: ignore[call-overload]
        for info, content in members:
            info.size = len(content) if info.isreg() else info.size
            made.addfile(info, io.BytesIO(content))
    return path


def of_type(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def written(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def refused(path: Path, says: str, limits: Limits = archive.SUBMISSION) -> NotUnpacked:
    """Unpack it, see it refused with a remedy, and nothing left behind anywhere."""
    dest = path.parent / "out" / "here"
    dest.parent.mkdir(exist_ok=True)
    with pytest.raises(NotUnpacked, match=says) as caught:
        unpack(path, dest, limits)
    assert caught.value.remedy
    assert list(dest.parent.iterdir()) == []
    return caught.value


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"])
def test_files_of_every_kind_of_archive_come_out_as_they_went_in(
    tmp_path: Path, ending: str
) -> None:
    from tests.unit import made_class

    source = made_class.write(
        tmp_path / "in", {"web/a.txt": "moin", "web/run.sh": "#!/bin/sh\n", "größe.txt": b"\0\xff"}
    )
    pack = made_class.zip_of if ending == ".zip" else made_class.tar_of
    writer = unpack(pack(source, tmp_path / f"a{ending}"), tmp_path / "out")
    assert written(tmp_path / "out") == written(source)
    assert os.access(tmp_path / "out/web/run.sh", os.X_OK)
    assert not os.access(tmp_path / "out/web/a.txt", os.X_OK)
    assert (writer.files, writer.left_out) == (3, [])
    assert writer.newest is not None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("/etc/passwd", "absolute"),
        ("//server/share/x", "absolute"),
        ("C:/windows/x", "absolute"),
        ("c:x", "absolute"),
        ("../x", "leads out"),
        ("a/../../x", "leads out"),
        ("a/./../x", "leads out"),
        ("a\nb", "cannot be shown"),
        ("a\x1b[31m", "cannot be shown"),
        ("a\u202egpj.exe", "cannot be shown"),
        ("notes:stream", "Windows does not allow"),
        ("what?", "Windows does not allow"),
        ("dot.", "Windows does not allow"),
        ("blank ", "Windows does not allow"),
        ("CON", "device"),
        ("a/aux.txt", "device"),
        ("com1", "device"),
        ("x" * 201, "longer"),
        ("/".join("abcdefghijklmnopqrstuvwxyz"), "deep"),
        ("/".join(["x" * 150] * 4), "deep"),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_bad_name_is_refused_with_its_reason(
    tmp_path: Path, name: str, says: str, kind: str
) -> None:
    if kind == "zip":
        path = a_zip(tmp_path / "a.zip", {"good.txt": b"1", name: b"2"})
    else:
        path = a_tar(
            tmp_path / "a.tar", (tarfile.TarInfo("good"), b"1"), (tarfile.TarInfo(name), b"2")
        )
    refused(path, says)


@pytest.mark.parametrize("name", ["\\\\server\\share\\x", "\\x", "..\\x", "a\\..\\..\\x"])
def test_backslashes_lead_nowhere(tmp_path: Path, name: str) -> None:
    refused(a_zip(tmp_path / "a.zip", {name: b"x"}), "absolute|leads out")
    refused(a_tar(tmp_path / "a.tar", (tarfile.TarInfo(name), b"x")), "absolute|leads out")


def test_backslashes_in_a_zip_are_folders_as_windows_programs_mean_them(tmp_path: Path) -> None:
    unpack(a_zip(tmp_path / "a.zip", {"web\\conf\\x": b"1"}), tmp_path / "out")
    assert set(written(tmp_path / "out")) == {"web/conf/x"}


def test_a_nul_in_a_zips_name_is_refused(tmp_path: Path) -> None:
    path = a_zip(tmp_path / "a.zip", {"aXb.txt": b"1"})
    path.write_bytes(path.read_bytes().replace(b"aXb.txt", b"a\0b.txt"))
    refused(path, "cannot be shown|damaged")


def test_links_devices_and_pipes_stay_out_and_are_named(tmp_path: Path) -> None:
    path = a_tar(
        tmp_path / "a.tar",
        (tarfile.TarInfo("web/real"), b"1"),
        (of_type("web/soft", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (of_type("web/hard", tarfile.LNKTYPE, "web/real"), b""),
        (of_type("web/null", tarfile.CHRTYPE), b""),
        (of_type("web/disk", tarfile.BLKTYPE), b""),
        (of_type("web/pipe", tarfile.FIFOTYPE), b""),
    )
    writer = unpack(path, tmp_path / "out")
    assert set(written(tmp_path / "out")) == {"web/real"}
    assert [p.name for p in (tmp_path / "out/web").iterdir()] == ["real"]
    assert len(writer.left_out) == 5
    assert writer.left_out[0] == "web/soft was left out: it is a link."


def test_a_zips_links_and_devices_stay_out(tmp_path: Path) -> None:
    path = zip_with(
        tmp_path / "a.zip",
        (unix("link", stat.S_IFLNK | 0o777), b"/etc/passwd"),
        (unix("pipe", stat.S_IFIFO | 0o644), b""),
        (unix("file", stat.S_IFREG | 0o4755), b"x"),
    )
    unpack(path, tmp_path / "out")
    assert set(written(tmp_path / "out")) == {"file"}
    assert stat.S_IMODE((tmp_path / "out/file").stat().st_mode) == 0o700


def test_a_script_from_a_system_without_modes_is_executable(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("go.sh")
    plain = zipfile.ZipInfo("go.txt")
    info.create_system = plain.create_system = 0
    path = zip_with(tmp_path / "a.zip", (info, b"#!/bin/sh\n"), (plain, b"x"))
    unpack(path, tmp_path / "out")
    assert os.access(tmp_path / "out/go.sh", os.X_OK)
    assert not os.access(tmp_path / "out/go.txt", os.X_OK)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    path = a_tar(
        tmp_path / "a.tar",
        (of_type("web", tarfile.SYMTYPE, str(outside)), b""),
        (tarfile.TarInfo("web/x"), b"1"),
    )
    refused(path, "both a file and a folder")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ("Web/a", "web/b", "upper and lower case"),
        ("README", "readme", "upper and lower case"),
        ("caf\u00e9", "cafe\u0301", "twice|accents"),
        ("CAF\u00c9", "cafe\u0301", "accents"),
        ("a", "a/b", "both a file and a folder"),
        ("a/b", "a", "both a file and a folder"),
    ],
)
def test_names_that_are_one_somewhere_are_refused(
    tmp_path: Path, first: str, second: str, says: str
) -> None:
    refused(a_zip(tmp_path / "a.zip", {first: b"1", second: b"2"}), says)


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    pair = [(zipfile.ZipInfo("web/a"), b"1"), (zipfile.ZipInfo("web/a"), b"2")]
    with pytest.warns(UserWarning, match="Duplicate"):
        path = zip_with(tmp_path / "a.zip", *pair)
    assert "web/a" in str(refused(path, "twice"))
    refused(a_tar(tmp_path / "a.tar", *((tarfile.TarInfo("a"), b"1"),) * 2), "twice")


def test_names_of_macs_are_written_as_keyboards_write_them(tmp_path: Path) -> None:
    unpack(a_zip(tmp_path / "a.zip", {"gro\u0308\u00dfe.txt": b"1"}), tmp_path / "out")
    assert set(written(tmp_path / "out")) == {"gr\u00f6\u00dfe.txt"}


@pytest.mark.parametrize(
    ("raw", "extra", "name"),
    [
        ("größe.txt".encode("cp437"), b"", "größe.txt"),
        ("größe.txt".encode(), b"", "größe.txt"),
        (b"gr__e.txt", "größe.txt".encode(), "größe.txt"),
    ],
)
def test_names_in_old_encodings_are_read(
    tmp_path: Path, raw: bytes, extra: bytes, name: str
) -> None:
    info = zipfile.ZipInfo("x" * len(raw))
    if extra:
        body = b"\x01" + struct.pack("<L", __import__("zlib").crc32(raw)) + extra
        info.extra = struct.pack("<HH", 0x7075, len(body)) + body
    path = zip_with(tmp_path / "a.zip", (info, b"1"))
    path.write_bytes(path.read_bytes().replace(b"x" * len(raw), raw))
    unpack(path, tmp_path / "out")
    assert set(written(tmp_path / "out")) == {name}


def test_a_name_that_claims_to_be_utf8_and_is_not_is_refused(tmp_path: Path) -> None:
    path = a_zip(tmp_path / "a.zip", {"\u00e4\u00e4": b"1"})
    path.write_bytes(path.read_bytes().replace("\u00e4\u00e4".encode(), b"\xff\xfe\xff\xfe"))
    refused(path, "damaged")


def test_a_tars_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = a_tar(tmp_path / "a.tar", (tarfile.TarInfo("XXXX"), b"1"))
    data = bytearray(path.read_bytes())
    data[0:4] = b"\xff\xfe\xfd\xfc"
    data[148:156] = b"        "
    data[148:156] = b"%06o\0 " % sum(data[:512])
    path.write_bytes(bytes(data))
    refused(path, "cannot be shown")


def test_junk_is_not_unpacked_whatever_it_is_called(tmp_path: Path) -> None:
    files = {
        "web/a": b"1",
        "__MACOSX/web/._a": b"2",
        "web/.DS_Store": b"3",
        "Icon\r": b"4",
        "node_modules/" + "x" * 300: b"5",
        ".git/config": b"6",
        "web/a.swp": b"7",
    }
    assert unpack(a_zip(tmp_path / "a.zip", files), tmp_path / "out").files == 1
    assert set(written(tmp_path / "out")) == {"web/a"}


def test_a_bomb_is_stopped_by_what_it_unpacks_to(tmp_path: Path) -> None:
    path = a_zip(tmp_path / "a.zip", {"zeros": bytes(40_000_000)})
    assert path.stat().st_size < 100_000
    refused(path, "200 times its size")


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = a_zip(tmp_path / "a.zip", {"zeros": bytes(1_000_000)})
    path.write_bytes(path.read_bytes().replace(struct.pack("<L", 1_000_000), struct.pack("<L", 10)))
    refused(path, "damaged")


def test_a_tar_bomb_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    a_tar(path, (tarfile.TarInfo("zeros"), bytes(40_000_000)), mode="w:gz")
    refused(path, "200 times its size")


def test_a_tar_that_hides_its_bulk_in_junk_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    a_tar(path, (tarfile.TarInfo(".git/zeros"), bytes(5_000_000)), mode="w:gz")
    refused(path, "too large", Limits(read_bytes=1_000_000))


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(files=3), "more than 3 files"),
        (Limits(entries=3), "more than 3 files and folders"),
        (Limits(file_bytes=999_999), "larger than 0 MB"),
        (Limits(total_bytes=4_000_000), "more than 4 MB"),
        (Limits(listing_bytes=100), "too many files"),
    ],
)
def test_too_much_of_anything_is_refused(tmp_path: Path, limits: Limits, says: str) -> None:
    files = {f"f{n}": os.urandom(1_000_000) for n in range(5)}
    refused(a_zip(tmp_path / "a.zip", files), says, limits)


@pytest.mark.parametrize("honest", [True, False])
def test_a_zip64s_directory_is_measured_wherever_its_record_is_looked_for(
    tmp_path: Path, honest: bool
) -> None:
    path = a_zip(tmp_path / "a.zip", {f"f{n}": b"1" for n in range(9)})
    data = path.read_bytes()
    end = data.rfind(b"PK\x05\x06")
    count, length, start = struct.unpack("<HLL", data[end + 10 : end + 20])
    record = struct.pack(
        "<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, start
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end if honest else 0, 1)
    tail = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(data[:end] + record + locator + tail)
    refused(path, "too many files", Limits(listing_bytes=100))
    if honest:
        assert unpack(path, tmp_path / "good").files == 9


def test_entries_that_share_bytes_are_refused(tmp_path: Path) -> None:
    """As in zip bombs that unpack to gigabytes without any nesting."""
    path = a_zip(tmp_path / "a.zip", {"one": b"A" * 1000, "two": b"B" * 1000})
    data = bytearray(path.read_bytes())
    second = data.rfind(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<L", 0)  # "two" begins where "one" does
    path.write_bytes(bytes(data))
    refused(path, "overlap")


def test_a_locked_zip_is_refused_with_its_remedy(tmp_path: Path) -> None:
    path = a_zip(tmp_path / "a.zip", {"a": b"1"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    assert "without" in str(refused(path, "password"))


def test_a_zip_of_an_unusual_method_is_refused_with_its_remedy(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as made:
        made.writestr("a", b"1" * 1000)
    assert "Deflate" in str(refused(tmp_path / "a.zip", "method"))


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz"])
@pytest.mark.parametrize("keep", [0.3, 0.55, 0.6, 0.8])
def test_a_truncated_archive_is_refused(tmp_path: Path, ending: str, keep: float) -> None:
    from tests.unit import made_class

    source = made_class.write(tmp_path / "in", {f"f{n}": os.urandom(20_000) for n in range(5)})
    pack = made_class.zip_of if ending == ".zip" else made_class.tar_of
    path = pack(source, tmp_path / f"a{ending}")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    refused(path, "damaged|not an archive")


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = a_zip(tmp_path / "a.zip", {"a": os.urandom(5000)})
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(bytes(data))
    refused(path, "damaged")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.rar", "a.7z"])
@pytest.mark.parametrize("content", [b"", b"hello", b"Rar!\x1a\x07\x00"])
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, "not an archive")


def test_a_sparse_tar_is_refused(tmp_path: Path) -> None:
    hole = tarfile.TarInfo("hole")
    hole.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "hole",
        "GNU.sparse.realsize": "99999999999",
    }
    path = a_tar(tmp_path / "a.tar", (hole, b"1\n0\n1\n".ljust(512, b"\0") + b"x"))
    refused(path, "holes|damaged")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_tars_header_that_asks_for_much_memory_is_refused(tmp_path: Path, kind: bytes) -> None:
    info = of_type("x", kind)
    info.size = 900_000_000
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
    refused(tmp_path / "a.tar", "damaged")


def test_a_tar_that_leads_its_reader_back_is_refused(tmp_path: Path) -> None:
    """A size below zero once sent the standard library round in a circle."""
    header = bytearray(tarfile.TarInfo("x").tobuf())
    header[124:136] = b"\xff" * 8 + struct.pack(">l", -1024)
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header[:512])
    (tmp_path / "a.tar").write_bytes(bytes(header) * 3 + bytes(1024))
    refused(tmp_path / "a.tar", "damaged")


def test_an_xz_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 512 * 1024 * 1024}]
    inner = a_tar(tmp_path / "in.tar", (tarfile.TarInfo("a"), b"1")).read_bytes()
    squeezer = lzma.LZMACompressor(lzma.FORMAT_XZ, filters=filters)
    (tmp_path / "a.tar.xz").write_bytes(squeezer.compress(inner) + squeezer.flush())
    refused(tmp_path / "a.tar.xz", "damaged")


def test_a_deep_chain_of_headers_is_refused(tmp_path: Path) -> None:
    one = tarfile.TarInfo("x")
    one.type, one.size = tarfile.XHDTYPE, 0
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(one.tobuf() * 5000 + bytes(1024)))
    refused(tmp_path / "a.tar.gz", "damaged")


def test_a_copied_folder_follows_the_same_rules(tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "web").mkdir(parents=True)
    (source / "web/a").write_text("1")
    (source / "web/link").symlink_to("/etc/passwd")
    (source / "away").symlink_to("/etc")
    os.mkfifo(source / "pipe")
    writer = archive.copy(source, tmp_path / "out")
    assert set(written(tmp_path / "out")) == {"web/a"}
    assert len(writer.left_out) == 3
    (source / "WEB").mkdir()
    with pytest.raises(NotUnpacked, match="upper and lower case"):
        archive.copy(source, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def stopped() -> Iterator[Member]:
        yield Member("a", "file", False, datetime.now(), lambda: io.BytesIO(b"1"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive.fill(tmp_path / "out", stopped(), Limits())
    assert list(tmp_path.iterdir()) == []


@given(st.text(st.characters(exclude_categories=()), max_size=30))
def test_a_name_is_inside_and_the_same_everywhere_or_refused(raw: str) -> None:
    try:
        found = names.parts(raw)
        names.check(found)
    except NotUnpacked as error:
        said = str(error).encode().decode()
    else:
        said = ""
    if said:
        return
    joined = Path("/safe").joinpath(*found)
    assert os.path.normpath(joined) == str(joined)
    assert not {"..", ".", ""} & set(found)
    assert all(ord(c) >= 32 and c not in '\\:*?"<>|' for name in found for c in name)
    assert names.key(names.composed(found)) == names.key(found)


@given(st.binary(max_size=600), st.sampled_from(["a.zip", "a.tar", "a.tar.gz", "a.tar.xz"]))
def test_no_bytes_do_anything_but_unpack_or_be_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    magic = {
        "a.zip": b"PK\x03\x04",
        "a.tar": b"",
        "a.tar.gz": b"\x1f\x8b\x08",
        "a.tar.xz": b"\xfd7zXZ\x00",
    }
    (folder / name).write_bytes(magic[name] + data)
    try:
        unpack(folder / name, folder / "out")
    except NotUnpacked:
        assert [p.name for p in folder.iterdir()] == [name]
