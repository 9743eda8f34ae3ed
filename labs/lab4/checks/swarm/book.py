"""The swarm exercise's runbook: read, vetted, and what is not run of it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from grader.modules.runbook import vetted as books
from grader.modules.runbook.vetted import Book, Part
from grader.vetting import dockercli
from grader.vetting.dockercli import Vetted

__all__ = ["Allowed", "Book", "Part", "argv", "read"]

Allowed = books.Allowed[Vetted]

FILE = "swarm/runbook.txt"
NODES = ("manager1", "worker1", "worker2")


def read(submission: Path, images: Collection[str]) -> Book[Vetted]:
    """See `grader.modules.runbook.vetted.read`. `images`: all names the lab has."""
    return books.read(submission, FILE, NODES, lambda words: dockercli.vet(words, images))


def argv(allowed: books.Allowed[Vetted], values: dict[str, str]) -> list[str]:
    """What is run on the node. The grader does the waiting, so it adds `--detach`."""
    words = allowed.command.filled(values)
    at = allowed.vetted.detach_at
    return words if at is None else [*words[:at], "--detach", *words[at:]]
