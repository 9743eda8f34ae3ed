"""PNG files are read as far as it takes to tell a plot from a blank or broken picture."""

from __future__ import annotations

import importlib
import random
import struct
import zlib
from typing import Any

import pytest

from grader.lab import labfile

LAB = labfile.load("lab4")
NUMBERS = random.Random(4711)


@pytest.fixture(scope="module")
def module() -> Any:
    return importlib.import_module("labs.lab4.checks.scientific.picture")


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def png(
    width: int, height: int, lines: bytes, kind: int = 2, bits: int = 8, lace: int = 0
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, lace)
    packed = zlib.compress(lines)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"tEXt", b"Software\0a test")
        + chunk(b"IDAT", packed[:5])
        + chunk(b"IDAT", packed[5:])
        + chunk(b"IEND", b"")
    )


def filtered(lines: list[bytes], method: int, step: int) -> bytes:
    """Lines of pixels as an encoder filters them: by the standard's definition."""
    out = b""
    above = bytes(len(lines[0]))
    for line in lines:
        out += bytes([method])
        for i, value in enumerate(line):
            a = line[i - step] if i >= step else 0
            b = above[i]
            c = above[i - step] if i >= step else 0
            p = a + b - c
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            guess = (0, a, b, (a + b) // 2, nearest)[method]
            out += bytes([(value - guess) % 256])
        above = line
    return out


@pytest.mark.parametrize("method", range(5))
@pytest.mark.parametrize(("kind", "step"), [(0, 1), (2, 3), (3, 1), (4, 2), (6, 4)])
def test_all_filters_and_kinds_give_the_pixels_back(
    module: Any, method: int, kind: int, step: int
) -> None:
    palette = [NUMBERS.randbytes(step) for _ in range(7)]
    pixels = [[NUMBERS.choice(palette) for _ in range(11)] for _ in range(9)]
    flat = [pixel for line in pixels for pixel in line]
    lines = [b"".join(line) for line in pixels]
    picture = module.decode(png(11, 9, filtered(lines, method, step), kind))
    assert (picture.width, picture.height) == (11, 9)
    assert picture.colours == len(set(flat))
    assert picture.most == max(flat.count(p) for p in set(flat)) / len(flat)


def test_a_blank_picture_has_one_colour(module: Any) -> None:
    picture = module.decode(png(640, 480, (b"\0" + b"\xff" * 640 * 3) * 480))
    assert (picture.colours, picture.most) == (1, 1.0)


GOOD = png(2, 2, b"\0abcdef" * 2)
BROKEN = [
    (b"", "is not a PNG"),
    (b"GIF89a", "is not a PNG"),
    (GOOD[:-12], "is cut off"),
    (GOOD[:60], "is"),
    (GOOD[:20] + b"\xff" + GOOD[21:], "is damaged"),
    (png(2, 2, b"\0abcdef"), "has 7 bytes of pixels instead of 14"),
    (png(2, 2, b"\0abcdef" * 3), "has 15 bytes of pixels"),
    (png(2, 2, b"\7abcdef" * 2), "filter 7"),
    (png(2, 2, b"\0abcdef" * 2, bits=16), "of a kind"),
    (png(2, 2, b"\0abcdef" * 2, lace=1), "of a kind"),
    (png(2, 2, b"\0abcdef" * 2, kind=5), "of a kind"),
    (png(0, 2, b"\0\0"), "has 0 x 2 pixels"),
    (png(60_000, 60_000, b"\0" * 100), "has 60000 x 60000 pixels"),
    (b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""), "has no header"),
    (GOOD.replace(chunk(b"IDAT", zlib.compress(b"\0abcdef" * 2)[:5]), chunk(b"IDAT", b"12345")),
     "is damaged"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "said"), BROKEN)
def test_what_is_no_picture_says_why(module: Any, raw: bytes, said: str) -> None:
    with pytest.raises(module.NoPicture, match=said):
        module.decode(raw)


def test_a_small_file_cannot_become_gigabytes(module: Any) -> None:
    bomb = png(1000, 1000, b"\0" * 300_000_000)
    with pytest.raises(module.NoPicture, match="bytes of pixels"):
        module.decode(bomb)
