"""Names in submissions: which can be written here, and which are the same file.

The rules are those of the strictest system that a tutor may have, so that a submission is the
same files on each of them, or is refused on each of them.
"""

from __future__ import annotations

import re
import unicodedata

from grader.errors import KitError

MAX_NAME = 200
MAX_PATH = 400
MAX_DEPTH = 20
"""Bytes of one name and of a whole path (as UTF-8), folders one in the other."""

_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_REMEDY = "Rename it and hand in again."


class NotUnpacked(KitError):
    """What was handed in is not taken; the sentence is one that a student can act on."""


def parts(raw: str) -> tuple[str, ...]:
    """The path's names, the outermost first, none for the folder itself.

    NotUnpacked where the path leads out of the folder it is meant for.
    """
    if raw.startswith(("/", "\\")) or _DRIVE.match(raw):
        raise NotUnpacked(
            "It contains a file with an absolute path.",
            where=shown(raw),
            remedy="Pack the folder from outside it, so that paths begin with its name.",
        )
    found = tuple(p for p in raw.split("/") if p not in ("", "."))
    if ".." in found or any(".." in p.split("\\") for p in found):
        raise NotUnpacked(
            "It contains a path that leads out of its own folder.",
            where=shown(raw),
            remedy="Pack the folder from outside it, without `..` in any name.",
        )
    return found


def check(names: tuple[str, ...]) -> None:
    """NotUnpacked where a name cannot be the same file on every system."""
    path = "/".join(names)
    for name in names:
        if any(unicodedata.category(c) in ("Cc", "Cs") or c in _BIDI for c in name):
            raise NotUnpacked(
                "A file's name has characters that cannot be shown.",
                where=shown(path),
                remedy=_REMEDY,
            )
        if any(c in '<>:"|?*\\' for c in name) or name[-1] in ". ":
            raise NotUnpacked(
                'The name of a file has one of < > : " | ? * \\ in it, or ends in a dot or a'
                " space. Windows does not allow this.",
                where=shown(path),
                remedy=_REMEDY,
            )
        if _DEVICES.fullmatch(name.partition(".")[0].rstrip()):
            raise NotUnpacked(
                "The name of a file is reserved for a device on Windows.",
                where=shown(path),
                remedy=_REMEDY,
            )
        if len(name.encode()) > MAX_NAME:
            raise NotUnpacked(
                f"A name is longer than {MAX_NAME} bytes.", where=shown(path), remedy=_REMEDY
            )
    if len(names) > MAX_DEPTH or len(path.encode()) > MAX_PATH:
        raise NotUnpacked(
            f"A path is longer than {MAX_PATH} bytes, or more than {MAX_DEPTH} folders deep.",
            where=shown(path),
            remedy="Shorten the names, or hand in only the exercises' folders.",
        )


def safe(name: str) -> str:
    """A name that may be written here in the place of one that may not, and looks like it."""
    plain = "".join(c if c.isalnum() or c in "-_. " else "_" for c in name)[:50].rstrip(". ")
    try:
        check((plain,))
    except (NotUnpacked, IndexError):
        plain = f"_{plain}"
    return plain


def key(names: tuple[str, ...]) -> tuple[str, ...]:
    """Equal for paths that are one file on a system that does not tell cases or accents apart."""
    return tuple(
        unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
        for name in names
    )


def composed(names: tuple[str, ...]) -> tuple[str, ...]:
    """As files are named here: accents composed, as keyboards make them and macOS does not."""
    return tuple(unicodedata.normalize("NFC", name) for name in names)


def shown(raw: str) -> str:
    """A name as one short printable line."""
    clear = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in raw)
    return clear if len(clear) <= 100 else f"{clear[:60]}…{clear[-30:]}"
