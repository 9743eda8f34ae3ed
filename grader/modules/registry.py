"""A registry of images on a node, asked over its HTTP API by the node's own curl.

    there = look(node, 5100)
    there.answers  # True
    there.tags("harbour/page")  # {'1.0': Manifest(digest='sha256:…', image='sha256:…')}

The request goes to the node's localhost, where the node's engine pushes to: a registry may be
published only for programs on its own machine.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grader.modules import http

if TYPE_CHECKING:
    from grader.nodes.node import Node

KINDS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
"""Media types of a manifest of one image."""

SECONDS = 10
LOOK_SECONDS = 60
"""Seconds for one answer, and for all requests to a registry."""

MAX_ANSWER = 64_000
"""Characters of an answer that are read as JSON."""

MOST = 20
"""The limit for repositories and tags; no real runbook has more."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._/-]{0,200}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Manifest:
    """What a tag names: the manifest's own digest, and the ID of the image it describes."""

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
    """Everything in the registry at `port`; a registry that does not answer has nothing.

    What it has not answered after LOOK_SECONDS does not count.
    """
    asked = _Asked(node, port, time.monotonic() + LOOK_SECONDS)
    if asked.get("") is None:
        return Registry(False)
    names = _names(asked.get(f"_catalog?n={MOST}"), "repositories", _NAME)
    return Registry(True, {name: _tags(asked, name) for name in names})


def _tags(asked: _Asked, repository: str) -> dict[str, Manifest]:
    found: dict[str, Manifest] = {}
    for tag in _names(asked.get(f"{repository}/tags/list"), "tags", _TAG):
        answer = asked.get(f"{repository}/manifests/{tag}", KINDS)
        if answer is None:
            continue
        headers, body = answer
        config = body.get("config")
        image = str(config.get("digest", ""))[:200] if isinstance(config, dict) else ""
        found[tag] = Manifest(headers.get("docker-content-digest", "")[:200], image)
    return found


def _names(
    answer: tuple[Mapping[str, str], dict[str, Any]] | None, key: str, form: re.Pattern[str]
) -> list[str]:
    listed = (answer[1] if answer else {}).get(key)
    texts = [n for n in listed if isinstance(n, str)] if isinstance(listed, list) else []
    return sorted(name for name in texts if form.fullmatch(name))[:MOST]


@dataclass(frozen=True)
class _Asked:
    """A registry that is read until `deadline`, on time.monotonic's clock."""

    node: Node
    port: int
    deadline: float

    def get(
        self, path: str, kinds: tuple[str, ...] = ("application/json",)
    ) -> tuple[Mapping[str, str], dict[str, Any]] | None:
        """Headers (lower-case names) and body of a successful answer, or nothing."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            return None
        answer = http.request_inside(
            *(self.node, "localhost", self.port, f"/v2/{path}"),
            headers={"Accept": ", ".join(kinds)},
            timeout=min(SECONDS, left),
        )
        if answer is None or answer.status != 200 or len(answer.text) > MAX_ANSWER:
            return None
        if not answer.headers.get("docker-distribution-api-version", "").startswith("registry/2"):
            return None
        try:
            said = json.loads(answer.text or "{}")
        except (ValueError, RecursionError):
            return None
        return answer.headers, said if isinstance(said, dict) else {}
