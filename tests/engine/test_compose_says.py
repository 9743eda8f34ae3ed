"""What Compose really says of files that are wrong, and that the checks put it into clear words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from grader.modules.compose import ComposeProject
from grader.nodes.node import Node
from labs.lab4.checks.compose.says import explained
from tests.engine import looked_at

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def node(engine: Any, image_set: Any) -> Iterator[Node]:
    with looked_at.node(engine, image_set) as node:
        yield node


A = "services:\n  a:\n    image: alpine:3\n    init: true\n    command: sleep 1000\n"

WRONG = {
    "misspelt key": (A + "    prots: ['80']\n", "does not know the key `prots`"),
    "wrong type": (A + "    ports: 80\n", "services.a.ports"),
    "no boolean": (A + "    restart: true\n", "services.a.restart"),
    "no policy": (A + "    restart: sometimes\n", "sometimes"),
    "unknown volume": (A + "    volumes: ['vol:/data']\n", "volume `vol`"),
    "unknown network": (A + "    networks: [n]\n", "network `n`"),
    "unknown service": (A + "    depends_on: [b]\n", "a service `b`"),
    "circle": (A + "    depends_on: [a]\n", "circle"),
    "no health": (
        A + "  b:\n    image: alpine:3\n    depends_on: {a: {condition: service_healthy}}\n",
        "has no health check",
    ),
    "never healthy": (
        A
        + "    healthcheck: {test: ['CMD', 'false'], interval: 1s, retries: 1}\n"
        + "  b:\n    image: alpine:3\n    depends_on: {a: {condition: service_healthy}}\n",
        "never became healthy",
    ),
    "ends before": (
        "services:\n  a:\n    image: alpine:3\n    command: sh -c 'exit 3'\n"
        "    healthcheck: {test: ['CMD', 'false'], interval: 1s, retries: 9}\n"
        "  b:\n    image: alpine:3\n    depends_on: {a: {condition: service_healthy}}\n",
        "exit code 3",
    ),
    "port taken": (
        A
        + "    ports: ['8000:80']\n"
        + A.partition("\n")[2].replace("a:", "b:", 1)
        + "    ports: ['8000:80']\n",
        "port 8000 was in use already",
    ),
    "range too short": (A + "    ports: ['8000-8001:80']\n    deploy: {replicas: 3}\n", "port"),
    "no volume": (A + "    volumes: ['.:relative']\n", "cannot be mounted"),
    "one name for two": (
        A + "    container_name: x\n    deploy: {replicas: 2}\n",
        "cannot all have the same name",
    ),
    "no such volume": (
        A + "    volumes: ['vol:/data']\nvolumes: {vol: {external: true}}\n",
        "volume `vol` should exist",
    ),
    "no such network": (
        A + "    networks: [n]\nnetworks: {n: {external: true}}\n",
        "network `n` should exist",
    ),
    "no env file": (A + "    env_file: none.env\n", "no file `/drydock/p/none.env`"),
    "no variable": (A + "    labels: {a: '${NONE:?say it}'}\n", "NONE has no value"),
    "no port": (A + "    ports: ['eighty:80']\n", "eighty"),
    "both": (A + "    network_mode: host\n    networks: [n]\nnetworks: {n: }\n", "exclude"),
    "not there": ("services: {a: {image: 'drydock/none:1'}}\n", "could not be fetched"),
    "no program": (A.replace("sleep", "slep").replace("init: true", "init: false"), "slep"),
    "build": ("services: {a: {build: .}}\n", "cannot be built"),
}


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_what_compose_says_is_put_into_words(node: Node, case: str) -> None:
    text, words = WRONG[case]
    project = ComposeProject(node, "p", "/drydock/p", ["compose.yaml"])
    node.put(
        {"compose.yaml": text.encode(), "Dockerfile": b"FROM alpine:3\nRUN nonsense\n"},
        "/drydock/p",
    )
    done = project.up(timeout=60)
    try:
        assert not done.ok, done.out
        known = explained(done, "up -d", "counter")
        reason, hint = known.reason, known.hint
        assert words in reason, done.out
        assert "{" not in reason + hint
    finally:
        for container in project.containers():
            node.docker.api.remove_container(container.id, force=True, v=True)
        project.down()
