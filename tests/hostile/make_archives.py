"""Archives that no packing program makes (see makers.py): each takes the workspace's place."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

TEXT = b"hostile\n"

Packed = gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile


# Zip ------------------------------------------------------------------------------------------


def zip_member(workspace: Path, *words: str) -> None:
    """The workspace as a zip, with one more member of that name (as in Python)."""
    name = " ".join(words).encode().decode("unicode_escape")
    with _zip(workspace) as archive:
        archive.writestr(_info(name), TEXT)


def zip_as_windows(workspace: Path, name: str) -> None:
    """A member's name with \\ as it stands in archives of some Windows programs."""
    with _zip(workspace) as archive:
        info = _info(name)
        info.create_system = 0
        info.filename = info.orig_filename = name
        archive.writestr(info, TEXT)


def zip_link(workspace: Path, name: str, target: str) -> None:
    """A symbolic link, then a file below it."""
    with _zip(workspace) as archive:
        info = _info(name)
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, target)


def zip_through_link(workspace: Path, name: str, target: str, below: str) -> None:
    """A link to a folder, and a file that would be written through it."""
    with _zip(workspace) as archive:
        info = _info(name)
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, target)
        archive.writestr(f"{name}/{below}", TEXT)


def zip_special(workspace: Path, name: str, kind: str) -> None:
    """A device or a pipe in a zip."""
    with _zip(workspace) as archive:
        info = _info(name)
        info.external_attr = ({"pipe": stat.S_IFIFO, "device": stat.S_IFCHR}[kind] | 0o666) << 16
        archive.writestr(info, b"")


def zip_bomb(workspace: Path, megabytes: str) -> None:
    """One file of zeros."""
    with (
        _zip(workspace) as archive,
        archive.open("counter/zeros", "w", force_zip64=True) as file,
    ):
        for _ in range(int(megabytes)):
            file.write(bytes(1_000_000))


def zip_many(workspace: Path, count: str) -> None:
    """So many empty files."""
    with _zip(workspace) as archive:
        for number in range(int(count)):
            archive.writestr(f"counter/{number}", b"")


def zip_twice(workspace: Path, name: str) -> None:
    """A file that is in it twice: which one is graded?"""
    with _zip(workspace) as archive:
        archive.NameToInfo.pop(name, None)
        archive.writestr(_info(name), TEXT)


def zip_wrong_size(workspace: Path) -> None:
    """The listing says 10 bytes, the packed data are 50 MB."""
    path = _zip_of(workspace, {"counter/zeros": bytes(50_000_000)})
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02", 0, data.rfind(b"counter/zeros"))
    struct.pack_into("<L", data, at + 24, 10)
    path.write_bytes(bytes(data))


def zip_overlapping(workspace: Path) -> None:
    """Many entries share the same packed bytes."""
    path = _zip_of(workspace, {"counter/zeros": bytes(20_000_000)})
    data = path.read_bytes()
    end = data.rfind(b"PK\x05\x06")
    count, _, size, start = struct.unpack("<HHLL", data[end + 8 : end + 20])
    listing = data[start : start + size]
    at = listing.rfind(b"PK\x01\x02", 0, listing.rfind(b"counter/zeros"))
    entry = listing[at:]
    copies = b"".join(entry.replace(b"zeros", b"%05d" % n) for n in range(200))
    listing += copies
    tail = struct.pack("<HHLLH", count + 200, count + 200, len(listing), start, 0)
    path.write_bytes(data[:start] + listing + data[end : end + 8] + tail)


def zip_nested(workspace: Path, depth: str) -> None:
    """An archive in an archive in an archive …"""
    inner = _zip_of(workspace, {})
    for _ in range(int(depth)):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.write(inner, "inner.zip")
        inner.write_bytes(packed.getvalue())


def zip_quine_like(workspace: Path, width: str, depth: str) -> None:
    """Each archive holds several: their number grows with the depth."""
    data = TEXT
    name = "text.txt"
    for _ in range(int(depth)):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(int(width)):
                archive.writestr(f"{number}-{name}", data)
        data, name = packed.getvalue(), "more.zip"
    _instead(workspace, ".zip").write_bytes(data)


def zip_locked(workspace: Path) -> None:
    """The flag of a password is set."""
    path = _zip_of(workspace, {})
    data = bytearray(path.read_bytes())
    for sign, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(sign)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(sign, at + 4)
    path.write_bytes(bytes(data))


def zip_cut(workspace: Path) -> None:
    path = _zip_of(workspace, {})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def zip_packed_by(workspace: Path, method: str) -> None:
    """A method that asks for much memory to unpack."""
    with _zip(workspace) as archive:
        archive.writestr("counter/data", TEXT * 1000, compress_type=int(method))


def zip_listing_huge(workspace: Path) -> None:
    """The end record says that the listing has 4 GB."""
    path = _zip_of(workspace, {})
    data = bytearray(path.read_bytes())
    struct.pack_into("<L", data, data.rfind(b"PK\x05\x06") + 12, 0xFFFF_0000)
    path.write_bytes(bytes(data))


def zip_two_names(workspace: Path, name: str, other: str) -> None:
    """The local header says one name, the field for Unicode another."""
    with _zip(workspace) as archive:
        info = _info(name)
        field = struct.pack("<BL", 1, zlib.crc32(name.encode())) + other.encode()
        info.extra = struct.pack("<HH", 0x7075, len(field)) + field
        archive.writestr(info, TEXT)


def zip_comment(workspace: Path, known: Mapping[str, str]) -> None:
    """Markup and terminal escapes in the archive's comment."""
    with _zip(workspace) as archive:
        archive.comment = f"<script>{known['mark']}</script>\x1b]0;{known['mark']}\x07".encode()


# Tar ------------------------------------------------------------------------------------------


def tar_member(workspace: Path, *words: str) -> None:
    """The workspace as a tar.gz, with one more member of that name (as in Python)."""
    name = " ".join(words).encode().decode("unicode_escape")
    with _tar(workspace) as archive:
        _add(archive, name)


def tar_link(workspace: Path, name: str, target: str) -> None:
    with _tar(workspace) as archive:
        _add(archive, name, kind=tarfile.SYMTYPE, target=target)


def tar_through_link(workspace: Path, name: str, target: str, below: str) -> None:
    with _tar(workspace) as archive:
        _add(archive, name, kind=tarfile.SYMTYPE, target=target)
        _add(archive, f"{name}/{below}")


def tar_hard_link(workspace: Path, name: str, target: str) -> None:
    with _tar(workspace) as archive:
        _add(archive, name, kind=tarfile.LNKTYPE, target=target)


def tar_special(workspace: Path, name: str, kind: str) -> None:
    with _tar(workspace) as archive:
        _add(archive, name, kind={"pipe": tarfile.FIFOTYPE, "device": tarfile.BLKTYPE}[kind])


def tar_set_user(workspace: Path, name: str) -> None:
    """A program that would run as root, of root's."""
    with _tar(workspace) as archive:
        _add(archive, name, mode=0o6777)


def tar_sparse(workspace: Path) -> None:
    """A file with holes, a terabyte long."""
    with _tar(workspace) as archive:
        info = tarfile.TarInfo("counter/holes")
        info.pax_headers = {
            "GNU.sparse.major": "0",
            "GNU.sparse.minor": "1",
            "GNU.sparse.size": "1000000000000",
            "GNU.sparse.numblocks": "1",
            "GNU.sparse.map": "0,0",
        }
        archive.addfile(info)


def tar_long_header(workspace: Path) -> None:
    """A header that asks for 100 MB of memory."""
    with _tar(workspace) as archive:
        info = tarfile.TarInfo("counter/x")
        info.pax_headers = {"comment": "x" * 100_000_000}
        archive.addfile(info)


def tar_bomb(workspace: Path, packer: str, megabytes: str) -> None:
    """Zeros, packed as well as that packer can."""
    openers: dict[str, Callable[[Path, Literal["wb"]], Packed]] = {
        "gz": gzip.GzipFile,
        "bz2": bz2.BZ2File,
        "xz": lzma.LZMAFile,
    }
    path = _instead(workspace, f".tar.{packer}")
    with (
        openers[packer](path, "wb") as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        info = tarfile.TarInfo("counter/zeros")
        info.size = int(megabytes) * 1_000_000
        archive.addfile(info, _Zeros())


def tar_minus(workspace: Path) -> None:
    """A member whose size is below zero."""
    with _tar(workspace, packed=False) as archive:
        _add(archive, "counter/x")
    path = workspace.with_name(f"{workspace.name}.tar")
    data = bytearray(path.read_bytes())
    at = data.rfind(b"counter/x\0")
    data[at + 124 : at + 136] = b"\xff" * 12
    data[at + 148 : at + 156] = b" " * 8
    total = sum(data[at : at + 512])
    data[at + 148 : at + 156] = b"%06o\0 " % total
    path.write_bytes(bytes(data))


def xz_memory(workspace: Path) -> None:
    """An xz file whose header asks for a dictionary of 1.5 GB."""
    path = _instead(workspace, ".tar.xz")
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1536 * 1024 * 1024, "preset": 0}]
    good = bytearray(lzma.compress(b"x" * 10_240, filters=[{**filters[0], "dict_size": 4096}]))
    at = good.index(0x21, 12)  # the filter's ID in the block's header, then the length, then bits
    good[at + 2] = 39  # 3 GB
    end = 12 + (good[12] + 1) * 4
    good[end - 4 : end] = struct.pack("<L", zlib.crc32(bytes(good[12 : end - 4])))
    path.write_bytes(bytes(good))


def gzip_of_text(workspace: Path) -> None:
    """No archive behind the name of one."""
    _instead(workspace, ".zip").write_bytes(gzip.compress(TEXT))


def rar(workspace: Path) -> None:
    """A format that is not read here."""
    _instead(workspace, ".rar").write_bytes(b"Rar!\x1a\x07\x00" + TEXT)


# Parts ----------------------------------------------------------------------------------------


class _Zeros:
    def read(self, size: int = 0, /) -> bytes:
        return bytes(size)


def _instead(workspace: Path, suffix: str) -> Path:
    """The archive's path, and the workspace is gone."""
    shutil.rmtree(workspace)
    return workspace.with_name(workspace.name + suffix)


def _contents(workspace: Path) -> dict[str, bytes]:
    files = sorted(path for path in workspace.rglob("*") if path.is_file())
    return {path.relative_to(workspace).as_posix(): path.read_bytes() for path in files}


def _zip(workspace: Path) -> zipfile.ZipFile:
    """A zip with all that is in the workspace, open for more."""
    found = _contents(workspace)
    archive = zipfile.ZipFile(_instead(workspace, ".zip"), "w", zipfile.ZIP_DEFLATED)
    for name, content in found.items():
        archive.writestr(name, content)
    return archive


def _zip_of(workspace: Path, more: Mapping[str, bytes]) -> Path:
    with _zip(workspace) as archive:
        for name, content in more.items():
            archive.writestr(name, content)
    return workspace.with_name(f"{workspace.name}.zip")


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name.partition("\0")[0] or "x")
    info.filename = info.orig_filename = name
    info.create_system = 3
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info


def _tar(workspace: Path, packed: bool = True) -> tarfile.TarFile:
    found = _contents(workspace)
    path = _instead(workspace, ".tar.gz" if packed else ".tar")
    archive = tarfile.open(path, "w:gz" if packed else "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
    for name, content in found.items():
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return archive


def _add(
    archive: tarfile.TarFile,
    name: str,
    kind: bytes = tarfile.REGTYPE,
    target: str = "",
    mode: int = 0o644,
) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    info.size = len(TEXT) if kind == tarfile.REGTYPE else 0
    archive.addfile(info, io.BytesIO(TEXT) if info.size else None)
