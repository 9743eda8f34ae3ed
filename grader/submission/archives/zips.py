"""Zip archives, read with the standard library; what it believes of a header is checked here."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from grader.submission.archives.members import AGAIN, EPOCH, Kind, Member
from grader.submission.archives.names import NotUnpacked

UNIX = (3, 19)
"""Systems whose entries carry modes: Unix, and macOS as some programs call it."""


def read(path: Path, max_listing: int) -> Iterator[Member]:
    if _listing_size(path) > max_listing:
        raise NotUnpacked(
            "There are too many files in it.",
            where=path.name,
            remedy="Leave out what tools made (node_modules, .venv) and pack again.",
        )
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        _refuse_overlap(path, infos, archive.start_dir)
        for info in infos:
            name = _zip_name(info)
            mode = info.external_attr >> 16 if info.create_system in UNIX else 0
            kind = _kind(mode, name.endswith("/"))
            if info.flag_bits & 0x1:
                raise NotUnpacked(
                    "The archive has a password.",
                    where=path.name,
                    remedy="Make it again without a password.",
                )
            if kind == "file" and info.compress_type not in (
                zipfile.ZIP_STORED,
                zipfile.ZIP_DEFLATED,
            ):
                raise NotUnpacked(
                    "The archive is packed by a method that the kit cannot read.",
                    where=path.name,
                    remedy="Make an ordinary zip (method Deflate) of it.",
                )
            yield Member(
                name,
                kind,
                bool(mode & stat.S_IXUSR) if mode else None,
                _zip_time(info),
                lambda info=info: archive.open(info),  # type: ignore[misc]
            )


def _kind(mode: int, slash: bool) -> Kind:
    form = stat.S_IFMT(mode)
    if slash or form == stat.S_IFDIR:
        return "folder"
    if form == stat.S_IFLNK:
        return "link"
    return "file" if form in (0, stat.S_IFREG) else "special"


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name with /: marked as UTF-8, said in a field of its own, tried as UTF-8, or DOS's."""
    name = info.orig_filename
    if not info.flag_bits & 0x800:
        raw = name.encode("cp437")
        name = _unicode_field(info.extra, raw) or _as_utf8(raw) or name
    return name.replace("\\", "/") if not name.startswith("\\") else name


def _as_utf8(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _unicode_field(extra: bytes, raw: bytes) -> str | None:
    """Info-ZIP's Unicode Path field, if it is this name's (it carries a checksum)."""
    while len(extra) >= 4:
        tag, length = struct.unpack("<HH", extra[:4])
        body, extra = extra[4 : 4 + length], extra[4 + length :]
        if tag == 0x7075 and len(body) > 5 and body[0] == 1:
            (checksum,) = struct.unpack("<L", body[1:5])
            return _as_utf8(body[5:]) if checksum == zlib.crc32(raw) else None
    return None


def _zip_time(info: zipfile.ZipInfo) -> datetime | None:
    try:
        found = datetime(*info.date_time)
    except ValueError:
        return None
    return found if found.year > EPOCH else None


def _listing_size(path: Path) -> int:
    """Bytes of the zip's directory as its end records say, 0 if there is no such record.

    A zip64's record is looked for where its locator says and where zipfile looks.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = max(0, size - 65_557 - 76)
        file.seek(start)
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) < at + 22:
            return 0
        (listing,) = struct.unpack("<L", tail[at + 12 : at + 16])
        locator = tail[at - 20 : at] if at >= 20 else b""
        if not locator.startswith(b"PK\x06\x07"):
            return int(listing)
        listings = [0 if listing == 0xFFFFFFFF else listing]
        for where in (*struct.unpack("<Q", locator[8:16]), start + at - 76):
            if 0 <= where < size:
                file.seek(where)
                record = file.read(56)
                if len(record) == 56 and record.startswith(b"PK\x06\x06"):
                    listings += struct.unpack("<Q", record[40:48])
    return int(max(listings))


def _refuse_overlap(path: Path, infos: list[zipfile.ZipInfo], end: int) -> None:
    """Entries that share bytes are how a small zip unpacks to a huge one."""
    places = sorted((info.header_offset, info.compress_size) for info in infos)
    for index, (start, size) in enumerate(places):
        following = places[index + 1][0] if index + 1 < len(places) else end
        if start < 0 or start + 30 + size > following:
            raise NotUnpacked(
                "Entries of the archive overlap, so it is damaged or made to do harm.",
                where=path.name,
                remedy=AGAIN,
            )
