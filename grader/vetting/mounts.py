"""Rules about paths and mounts: what a service may see of files (see grader.vetting.allowlist).

A rule refuses, or says nothing. Each has a test of its own in tests/unit/vetting/test_rules.py.
"""

from __future__ import annotations

import re

from grader.files.submitted_path import checked, kind_below
from grader.vetting.allowlist import Place

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
"""A volume's name; of one letter it would be read as a drive of Windows."""

MODES = frozenset(
    {
        "ro", "rw", "z", "Z", "nocopy", "cached", "delegated", "consistent", "private", "rprivate",
    }
)  # fmt: skip
"""What may stand behind a mount's second colon."""

_ENGINES = ("docker", "containerd", "podman")


def path_inside(place: Place) -> None:
    """A path in the exercise's folder, whether it is there or not."""
    checked(place.text(), place.file.where(*place.keys))


def file_inside(place: Place) -> None:
    """A file that is there, in the exercise's folder."""
    path = checked(place.text(), place.file.where(*place.keys))
    if kind_below(place.setting.folder, path) != "file":
        place.refuse(f"There is no file `{path}`.", "The path starts at the compose file's folder.")


def short_mount(place: Place) -> None:
    """`[SOURCE:]TARGET[:MODE]`: a named volume, or a path in the exercise's folder."""
    text = place.text()
    if re.match(r"[A-Za-z]:[\\/]", text):
        checked(text, place.file.where(*place.keys))
    source, colon, rest = text.partition(":")
    if not colon:
        return  # A volume without a name.
    mode = rest.rpartition(":")[2] if ":" in rest else ""
    for word in filter(None, mode.split(",")):
        if word not in MODES:
            place.refuse(
                f"`{text}` has the mode `{word}`, which is not used here.",
                "Write SOURCE:TARGET, or SOURCE:TARGET:ro.",
            )
    _source(place, source)


def mount_source(place: Place) -> None:
    """The long form's `source`: likewise."""
    _source(place, place.text())


def refuse_socket(place: Place, source: str) -> None:
    """Refused if that is the socket of an engine."""
    name = source.rpartition("/")[2]
    if name.endswith(".sock") and any(engine in name for engine in _ENGINES):
        place.refuse(
            "The Docker engine's own socket is mounted. It controls the machine.",
            "Leave it out. Services find each other by their names, without the engine.",
        )


def _source(place: Place, source: str) -> None:
    refuse_socket(place, source)
    if len(source) == 1 and source.isalpha():
        place.refuse(
            f"The volume name `{source}` is read as a Windows drive.",
            "Give it a name of two letters or more.",
        )
    if not NAME.fullmatch(source):
        checked(source, place.file.where(*place.keys))


def tmpfs_only(place: Place) -> None:
    """`driver_opts` of a volume in memory. Others mount folders of the machine, or shares."""
    said = place.value if isinstance(place.value, dict) else {"": ""}
    options = {str(key): place.at(str(key), value).text() for key, value in said.items()}
    in_memory = options.get("type") == options.get("device") == "tmpfs"
    harmless = all(
        re.fullmatch(r"(size|mode|uid|gid|nr_inodes)=\w+|ro|rw|noexec|nosuid|nodev|noatime", word)
        for word in options.get("o", "rw").split(",")
    )
    if said and not (in_memory and harmless and options.keys() <= {"type", "device", "o"}):
        place.refuse(
            "The volume's `driver_opts` mount something from the machine or the network.",
            "Leave them out; a folder of yours is mounted by `./folder:/path` in the service.",
        )


def volume_name(place: Place) -> None:
    """A name and no path, which the engine would mount."""
    name = place.text()
    if not NAME.fullmatch(name):
        place.refuse(
            f"`{name}` is not a valid volume name.", "Use at least two letters, digits, `-` or `_`."
        )
