"""Known escapes from containers, by component and version."""

from __future__ import annotations

import re
from dataclasses import dataclass

Version = tuple[int, ...]


@dataclass(frozen=True)
class Advisory:
    """`fixed` lists the first fixed version of each release line, ascending."""

    id: str
    component: str
    about: str
    fixed: tuple[Version, ...]


KNOWN = (
    Advisory(
        "CVE-2024-21626",
        "runc",
        "a leaked file descriptor lets an image or build leave its container",
        ((1, 1, 12),),
    ),
    Advisory(
        "CVE-2025-31133",
        "runc",
        "masked paths can be turned into a way to write to the host's /proc",
        ((1, 2, 8), (1, 3, 3), (1, 4, 0)),
    ),
    Advisory(
        "CVE-2024-23651, -23652, -23653",
        "engine",
        "BuildKit: a Dockerfile can reach files of the host",
        ((24, 0, 9), (25, 0, 2)),
    ),
    Advisory(
        "CVE-2026-41567",
        "engine",
        "a compressed archive copied into a container runs the container's own unpacker as root "
        "(the kit copies uncompressed ones only)",
        ((29, 5, 1),),
    ),
    Advisory(
        "CVE-2025-62725",
        "compose",
        "a remote compose file can write outside of its folder (the kit never loads remote ones)",
        ((2, 40, 2),),
    ),
)


def parse(version: str) -> Version | None:
    """The numbers at the beginning of a version: "1.1.5+ds1-1" is (1, 1, 5)."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(part or 0) for part in match.groups()) if match else None


def affected(version: Version, fixed: tuple[Version, ...]) -> bool:
    """Whether `version` lacks a fix; lines newer than all of `fixed` have it."""
    if version >= fixed[-1]:
        return False
    same_line = [one for one in fixed if one[:2] == version[:2]]
    return version < same_line[0] if same_line else True


def against(component: str, version: str) -> list[Advisory]:
    """The advisories that a component of this version is open to, by its number alone."""
    numbers = parse(version)
    if numbers is None:
        return []
    return [
        advisory
        for advisory in KNOWN
        if advisory.component == component and affected(numbers, advisory.fixed)
    ]


def patched_by_distribution(version: str) -> bool:
    """Whether it is a distribution's build: those fix old versions without a new number."""
    return bool(re.search(r"[-+~](deb|ds|dfsg|\d*ubuntu|el\d|fc\d)", version))
