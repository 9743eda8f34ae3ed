"""A PNG file as pixels: enough to tell a plot from an empty or a broken picture.

>>> from base64 import b64decode
>>> png = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAQAAAABCAAAAADcV1ARAAAADUlEQVR42mP4//8/AwAI/AL+"
...                 "eMSysAAAAABJRU5ErkJggg==")
>>> decode(png)
Picture(width=4, height=1, colours=2, most=0.75)
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Values per pixel by colour type."""
MOST_PIXELS = 4_000_000


class NoPicture(Exception):
    """Why the bytes are no picture that can be read: a clause that goes on after 'it'."""


@dataclass(frozen=True)
class Picture:
    """Size in pixels, how many `colours` there are, and the share of the `most` frequent one."""

    width: int
    height: int
    colours: int
    most: float


def decode(raw: bytes) -> Picture:
    """Read a PNG file with 8 bits per value. NoPicture if it is none, broken or too large."""
    header, packed = _chunks(raw)
    width, height, bits, kind, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if not (0 < width * height <= MOST_PIXELS):
        raise NoPicture(f"has {width} x {height} pixels")
    if bits != 8 or kind not in CHANNELS or interlaced:
        raise NoPicture("is a PNG file of a kind that matplotlib does not write")
    step = CHANNELS[kind]
    length = width * step
    whole = height * (length + 1)
    try:
        data = zlib.decompressobj().decompress(packed, whole + 1)
    except zlib.error as error:
        raise NoPicture(f"is damaged ({error})") from None
    if len(data) != whole:
        raise NoPicture(f"has {len(data)} bytes of pixels instead of {whole}")
    seen: Counter[bytes] = Counter()
    above = bytes(length)
    for start in range(0, whole, length + 1):
        above = _line(data[start], data[start + 1 : start + 1 + length], above, step)
        seen.update(above[i : i + step] for i in range(0, length, step))
    return Picture(width, height, len(seen), max(seen.values()) / (width * height))


def _chunks(raw: bytes) -> tuple[bytes, bytes]:
    """The header's 13 bytes and the packed pixels, if all checksums are right."""
    if not raw.startswith(SIGNATURE):
        raise NoPicture("is not a PNG file")
    header, packed, place = b"", [], len(SIGNATURE)
    while place + 12 <= len(raw):
        length, name = struct.unpack(">I4s", raw[place : place + 8])
        content = raw[place + 8 : place + 8 + length]
        checksum = raw[place + 8 + length : place + 12 + length]
        if checksum != struct.pack(">I", zlib.crc32(name + content)):
            raise NoPicture("is damaged or cut off")
        place += 12 + length
        if name == b"IHDR":
            header = content
        elif name == b"IDAT":
            packed.append(content)
        elif name == b"IEND":
            break
    else:
        raise NoPicture("is cut off")
    if len(header) != 13:
        raise NoPicture("has no header")
    return header, b"".join(packed)


def _line(method: int, packed: bytes, above: bytes, step: int) -> bytes:
    """A line of pixels from what its filter made of it and from the line above."""
    line = bytearray(packed)
    if method == 0:
        return packed
    if method == 2:
        return bytes((p + a) & 255 for p, a in zip(packed, above, strict=True))
    if method not in (1, 3, 4):
        raise NoPicture(f"is damaged (filter {method})")
    for i, value in enumerate(packed):
        left = line[i - step] if i >= step else 0
        if method == 1:
            guess = left
        elif method == 3:
            guess = (left + above[i]) >> 1
        else:
            guess = _paeth(left, above[i], above[i - step] if i >= step else 0)
        line[i] = (value + guess) & 255
    return bytes(line)


def _paeth(left: int, up: int, corner: int) -> int:
    """Whichever of the three is nearest to left + up - corner."""
    by_left, by_up, by_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if by_left <= by_up and by_left <= by_corner:
        return left
    return up if by_up <= by_corner else corner
