"""Templates and values become files: whole ones, with \n line ends, or a clear error."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader import paths
from grader.errors import KitError
from grader.files import safe_folder

if TYPE_CHECKING:
    import jinja2

TEMPLATE = ".j2"
PICTURE = ".svg"
DRAWING = paths.TEMPLATES / "pictures"
"""What the pictures of all labs are drawn with: `{% from "drawing.svg.j2" import … %}`."""

JUNK = {".DS_Store", "Thumbs.db", "__pycache__"}


def render(source: Path, values: Mapping[str, Any]) -> dict[str, bytes]:
    """All files under `source` as `{path with /: content}`.

    A file whose name ends in .j2 is rendered with `values` and loses that ending; all
    others are taken byte for byte. KitError if a template is wrong or uses an unknown value.
    """
    files: dict[str, bytes] = {}
    for path in files_of(source):
        name = path.relative_to(source).as_posix()
        if name.endswith(TEMPLATE):
            files[name.removesuffix(TEMPLATE)] = render_file(path, values).encode("utf-8")
        else:
            files[name] = path.read_bytes()
    return dict(sorted(files.items()))


def render_file(path: Path, values: Mapping[str, Any]) -> str:
    """One template as text with line ends \\n; KitError naming file and line if it is wrong."""
    return render_text(read_template(path), path, values)


def read_template(path: Path) -> str:
    """A template's own text; KitError where it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise KitError(f"The template is not UTF-8: {error.reason}.", where=str(path)) from None


def render_text(text: str, path: Path, values: Mapping[str, Any]) -> str:
    """The template `text` of the file `path`; KitError as `render_file`.

    In pictures (.svg.j2) the values are escaped as XML wants it, and drawing.svg.j2 can be used.
    """
    import jinja2

    try:
        picture = path.name.endswith(PICTURE + TEMPLATE)
        return _compiled(text, DRAWING, picture).render(values)
    except jinja2.TemplateSyntaxError as error:
        raise KitError(
            f"The template is wrong: {error.message}.",
            where=f"{error.filename or path}, line {error.lineno}",
            remedy="Put text that must stay, for example {{.Name}}, into {% raw %}…{% endraw %}.",
        ) from None
    except jinja2.TemplateError as error:
        raise KitError(
            f"The template cannot be rendered: {error}.",
            where=str(path),
            remedy="Values come from the variant part of lab.yaml.",
        ) from None


@functools.lru_cache(maxsize=256)
def _compiled(text: str, drawing: Path, picture: bool) -> jinja2.Template:
    """Once for all students of a class: it takes most of the time of rendering."""
    return _environment(drawing, picture).from_string(text)


@functools.cache
def _environment(drawing: Path, picture: bool) -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(drawing),
        autoescape=picture,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        # Shell has ${#name}, which Jinja's own {# would take for a comment.
        comment_start_string="{##",
        comment_end_string="##}",
    )


def render_tree(source: Path, dest: Path, values: Mapping[str, Any]) -> list[str]:
    """Render all of `source` into `dest`, over what is there; the paths written, with /."""
    files = render(source, values)
    for name, content in files.items():
        write_file(dest, name, content)
    return list(files)


def files_of(source: Path) -> list[Path]:
    """The files of a folder of templates, in a stable order, without what systems leave there."""
    if not source.is_dir():
        raise KitError("This folder of templates does not exist.", where=str(source))
    found = (p for p in source.rglob("*") if p.is_file() and not JUNK.intersection(p.parts))
    return sorted(found, key=lambda path: path.as_posix())


def write_file(folder: Path, name: str, content: bytes) -> None:
    """Write one file whole or not at all; KitError if the folder does not let us.

    Nothing is written through a link that stands below `folder`.
    """
    try:
        safe_folder.write(folder, name, content)
    except OSError as error:
        raise cannot_write(folder, name, error) from None


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def cannot_write(folder: Path, name: str, error: OSError) -> KitError:
    return KitError(
        f"The file {name} cannot be written: {error.strerror or error}.",
        where=str(error.filename or folder),
        remedy="Fix that, or choose another folder.",
    )
