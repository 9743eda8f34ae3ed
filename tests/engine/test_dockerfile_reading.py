"""Dockerfiles that hide something: what the reader makes of them is what the engine makes of them.

All are built by one command in one sandbox. Nothing can be fetched there, so the engine says what
it wanted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

from grader.engine.sandbox import Sandbox
from grader.vetting.dockerfile import vet
from tests.dockerfiles import CERTAIN, HIDDEN

if TYPE_CHECKING:
    from grader.engine.client import Engine

pytestmark = pytest.mark.engine

BUILD_ALL = r"""
cd /tmp/cases || exit
touch x a b
build='timeout 60 docker build --network none --file "$0/Dockerfile" . >"$0/out" 2>&1'
printf '%s\n' [0-9]* | xargs -n 1 -P 4 sh -c "$build"
for case in [0-9]*; do printf '\n{"case": %s}\n' "$case"; cat "$case/out"; done
"""

WANTED = ("failed to resolve source metadata for", 'Get "http', "failed to init repo")
"""What the engine says when it cannot fetch an image, a file, a repository."""


def said(sandbox: Sandbox, texts: Mapping[str, str]) -> dict[str, str]:
    """What the engine says about each, by its name."""
    (node,) = sandbox.nodes
    folder = {f"{number}/Dockerfile": text.encode() for number, text in enumerate(texts.values())}
    node.put(folder, "/tmp/cases")
    done = node.run(["sh", "-c", BUILD_ALL], timeout=300, env={"BUILDKIT_PROGRESS": "plain"})
    pieces = done.out.split('\n{"case": ')[1:]
    assert len(pieces) == len(texts), done.out[-2000:]
    names = list(texts)
    found = (piece.partition("}\n") for piece in pieces)
    return {names[json.loads(number)]: out for number, _, out in found}


def test_what_the_engine_fetches_is_what_the_reader_names(engine: Engine) -> None:
    with Sandbox.create(engine, submission="s0000001") as sandbox:
        heard = said(sandbox, {**CERTAIN, **HIDDEN})
    fetched = {name for name, out in heard.items() if any(words in out for words in WANTED)}
    assert set(CERTAIN) <= fetched, {name: heard[name][-300:] for name in set(CERTAIN) - fetched}
    assert not fetched & set(HIDDEN), {name: heard[name][-300:] for name in fetched & set(HIDDEN)}
    missed = {name for name in fetched if not vet(CERTAIN[name], ()).problems}
    assert not missed, missed
