"""A registry of images on a node, asked over its HTTP API by the node's own curl.

>>> there = look(node, 5100)
>>> there.answers, there.tags("harbour/page")
(True, {'1.0': Manifest(digest='sha256:…', image='sha256:…')})

It is asked at the node's localhost, which is where the node's engine pushes to: a registry may be
published for programs on its own machine only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.targets.node import Node

KINDS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
"""Media types of a manifest of one image."""

SECONDS = 10
MOST = 20
"""Repositories and tags that are looked at; nobody's runbook has more."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._/-]{0,200}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Manifest:
    """What a tag leads to: the manifest's own digest, and the ID of the image it describes."""

    digest: str
    image: str


@dataclass(frozen=True)
class Registry:
    """What was in a registry at one moment: manifests by repository and tag."""

    answers: bool
    repositories: Mapping[str, Mapping[str, Manifest]] = field(default_factory=dict)

    def tags(self, repository: str) -> Mapping[str, Manifest]:
        return self.repositories.get(repository, {})

    @property
    def in_words(self) -> str:
        """`harbour/page: 1.0, latest`."""
        if not self.answers:
            return "no registry answers"
        told = (
            f"{name}: {', '.join(tags) or 'no tag'}" for name, tags in self.repositories.items()
        )
        return "; ".join(told) or "an empty registry"


def look(node: Node, port: int) -> Registry:
    """All that is in the registry at `port`; one that does not answer has nothing."""
    if _get(node, port, "") is None:
        return Registry(False)
    names = _names(_get(node, port, f"_catalog?n={MOST}"), "repositories", _NAME)
    return Registry(True, {name: _tags(node, port, name) for name in names})


def _tags(node: Node, port: int, repository: str) -> dict[str, Manifest]:
    found: dict[str, Manifest] = {}
    for tag in _names(_get(node, port, f"{repository}/tags/list"), "tags", _TAG):
        answer = _get(node, port, f"{repository}/manifests/{tag}", KINDS)
        if answer is None:
            continue
        headers, body = answer
        config = body.get("config")
        image = str(config.get("digest", "")) if isinstance(config, dict) else ""
        found[tag] = Manifest(headers.get("docker-content-digest", ""), image)
    return found


def _names(
    answer: tuple[dict[str, str], dict[str, Any]] | None, key: str, form: re.Pattern[str]
) -> list[str]:
    listed = (answer[1] if answer else {}).get(key)
    texts = [n for n in listed if isinstance(n, str)] if isinstance(listed, list) else []
    return sorted(name for name in texts if form.fullmatch(name))[:MOST]


def _get(
    node: Node, port: int, path: str, kinds: tuple[str, ...] = ("application/json",)
) -> tuple[dict[str, str], dict[str, Any]] | None:
    """Headers (names in small letters) and body of a registry's good answer, or nothing."""
    accepted = [word for kind in kinds for word in ("--header", f"Accept: {kind}")]
    address = f"http://localhost:{port}/v2/{path}"
    options = ["--silent", "--include", "--noproxy", "*", "--max-time", str(SECONDS)]
    done = node.run(["curl", *options, *accepted, address], timeout=SECONDS + 10)
    head, _, body = done.out.replace("\r\n", "\n").partition("\n\n")
    lines = head.splitlines()
    if not done.ok or not lines or lines[0].split()[1:2] != ["200"]:
        return None
    pairs = (line.partition(":") for line in lines[1:])
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if not headers.get("docker-distribution-api-version", "").startswith("registry/2"):
        return None
    try:
        said = json.loads(body or "{}")
    except ValueError:
        return None
    return headers, said if isinstance(said, dict) else {}
