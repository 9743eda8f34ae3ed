"""A lab's pictures: SVG files beside the worksheet, rendered from the student's values.

A template `templates/LAB/pictures/NAME.svg.j2` becomes `pictures/NAME.svg` in the workspace, and
the worksheet shows it by a line of its own:

    ![What it shows, for those who do not see it.](pictures/NAME.svg)

Files, and not the notebook's attachments, since JupyterLab shows no SVG from those. They are drawn
with templates/pictures/drawing.svg.j2, on a ground of their own: a picture in a page does not
learn whether that page is light or dark.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from grader.errors import KitError
from grader.handout.rendering import PICTURE

FOLDER = "pictures"
SVG = "{http://www.w3.org/2000/svg}"

_LINK = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Picture:
    """A picture that a text shows: its path beside the text, and the words in its place."""

    path: str
    words: str


def shown(markdown: str) -> Iterator[Picture]:
    """The pictures of a Markdown text in their order; examples in blocks of code are none."""
    for words, path in _LINK.findall(_CODE.sub("", markdown)):
        yield Picture(path, words.strip())


def check(files: Mapping[str, bytes], where: Path) -> None:
    """KitError, for the lab's author, if a picture of a workspace could not be seen or read out.

    `files` are a workspace's by path; `where` is the folder of their templates. Each picture must
    be SVG with a size, a <title> and a <desc>; each that a text shows must be there, and have
    words in its place.
    """
    for name, content in files.items():
        if name.startswith(f"{FOLDER}/") and name.endswith(PICTURE):
            fault = _fault(content)
            if fault:
                raise KitError(
                    f"The picture {name} {fault}.",
                    where=str(where),
                    remedy="Draw it inside `{% call picture(…) %}` of drawing.svg.j2.",
                )
    for name, content in files.items():
        if not name.endswith(".md"):
            continue
        for picture in shown(content.decode("utf-8")):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), picture.path))
            if path not in files:
                raise KitError(
                    f"{name} shows {picture.path}, and the lab has no such file.",
                    where=str(where),
                    remedy=f"Pictures come from {FOLDER}/NAME.svg.j2.",
                )
            if not picture.words:
                raise KitError(
                    f"{name} shows {picture.path} without a text for people who cannot see it.",
                    where=str(where),
                    remedy=f"Write ![What it shows.]({picture.path}).",
                )


def _fault(content: bytes) -> str:
    """What is wrong with a picture, as the end of a sentence; nothing if it is all right."""
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        return f"is not well-formed XML ({error})"
    if root.tag != f"{SVG}svg":
        return "is not SVG"
    if not (root.get("width") and root.get("height") and root.get("viewBox")):
        return "has no width, height and viewBox"
    for part in ("title", "desc"):
        if not (root.findtext(f"{SVG}{part}") or "").strip():
            return f"has no <{part}>, which screen readers read"
    return ""
