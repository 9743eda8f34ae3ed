"""Stack files of strangers: what is taken, what is refused, and where the refusal points."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.vetting import stack
from grader.vetting.yamlfile import Refused

GOOD = """\
version: "3.8"
x-common: &common
  restart_policy: {delay: 1s}
services:
  front:
    image: nginx:1.22
    ports:
      - {target: 80, published: 8080, mode: host}
    configs:
      - {source: front, target: /etc/nginx/conf.d/default.conf}
    networks: [outside, inside]
    deploy: {mode: global, <<: *common}
  app:
    image: drydock/demo:${VERSION:-1.0}
    networks:
      inside:
        aliases: [shop]
    volumes:
      - store:/data
      - /cache
      - {type: tmpfs, target: /tmp}
      - type: volume
        source: store
        target: /more
        volume: {nocopy: true}
    deploy: {replicas: 3}
configs:
  front: {file: ./front.conf}
networks:
  outside:
  inside: {driver: overlay, attachable: true}
volumes:
  store:
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "front.conf").write_text("server {}\n", encoding="utf-8")
    return tmp_path


def read(folder: Path, text: str) -> stack.StackFile:
    (folder / "stack.yaml").write_text(text, encoding="utf-8")
    return stack.read(folder, "stack.yaml", "rollout")


def refused(folder: Path, text: str) -> Refused:
    with pytest.raises(Refused) as caught:
        read(folder, text)
    return caught.value


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def test_an_ordinary_stack_is_taken(folder: Path) -> None:
    file = read(folder, GOOD)
    assert list(file.services) == ["front", "app"]
    assert file.services["app"].image == "drydock/demo:1.0"
    file.refuse_images({"nginx:1.22", "drydock/demo:1.0"})


def test_images_of_others_are_refused_with_those_of_the_lab(folder: Path) -> None:
    with pytest.raises(Refused) as caught:
        read(folder, GOOD).refuse_images({"nginx:1.22", "drydock/demo:2.0"})
    assert caught.value.where == "rollout/stack.yaml, line 14, services.app.image"
    assert "drydock/demo:2.0" in str(caught.value.remedy)


def test_variables_of_the_fixed_environment_count(folder: Path) -> None:
    file = read(folder, changed("drydock/demo:${VERSION:-1.0}", "'evil${HOME:+:1}'"))
    with pytest.raises(Refused, match="evil:1"):
        file.refuse_images({"nginx:1.22", "evil:latest"})


@pytest.mark.parametrize(
    "mount",
    [
        "/etc:/host",
        "./front.conf:/etc/nginx/conf.d/default.conf:ro",
        "../x:/x",
        "~/x:/x",
        "a/b:/x",
        "C:/x:/x",
        ".\\x:/x",
        "{type: bind, source: /etc, target: /x}",
        "{type: volume, source: /etc, target: /x}",
        "{type: npipe, source: x, target: /x}",
        "{type: cluster, source: x, target: /x}",
        "{type: volume, source: x, target: /x, bind: {propagation: shared}}",
    ],
)
def test_nothing_of_the_host_is_mounted(folder: Path, mount: str) -> None:
    error = refused(folder, changed("- store:/data", f"- {mount}"))
    assert "host" in str(error.what)
    assert error.where == "rollout/stack.yaml, line 19, services.app.volumes.0"


@pytest.mark.parametrize(
    "mount", ["${X:-/etc}:/host", "$X:/host", "{type: '${T:-bind}', source: x, target: /x}"]
)
def test_no_variable_decides_about_mounts(folder: Path, mount: str) -> None:
    assert "variable" in str(refused(folder, changed("- store:/data", f"- {mount}")).what)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("  store:\n", "  store: {driver_opts: {type: none, o: bind, device: /}}\n", "driver_opts"),
        ("  store:\n", "  store: {external: true}\n", "external"),
        ("  store:\n", "  store: {driver: some/plugin}\n", "local"),
        ("  outside:\n", "  outside: {external: true, name: host}\n", "external"),
        ("  outside:\n", "  outside: {driver: host}\n", "driver"),
        ("  outside:\n", "  outside: {driver: '${D:-host}'}\n", "variable"),
        ("{file: ./front.conf}", "{file: /etc/shadow}", "out of the folder"),
        ("{file: ./front.conf}", "{file: ../../x}", "out of the folder"),
        ("{file: ./front.conf}", "{file: ./other.conf}", "no file"),
        ("{file: ./front.conf}", "{external: true}", "external"),
        ("{file: ./front.conf}", "{}", "no file"),
        ("    deploy: {replicas: 3}\n", "    deploy: {replicas: 500}\n", "replicas"),
        ("    deploy: {replicas: 3}\n", "    deploy: {replicas: '${N:-500}'}\n", "replicas"),
        ("    deploy: {replicas: 3}\n", "    cap_add: [ALL]\n", "cap_add"),
        ("    deploy: {replicas: 3}\n", "    env_file: /etc/shadow\n", "env_file"),
        ("    deploy: {replicas: 3}\n", "    credential_spec: {file: x}\n", "credential_spec"),
        ("    deploy: {replicas: 3}\n", "    build: .\n", "build"),
        ("configs:\n  front:", "secrets: {a: {file: /etc/shadow}}\nconfigs:\n  front:", "secrets"),
        ("    image: nginx:1.22\n", "", "no image"),
    ],
)
def test_what_reaches_further_is_refused(folder: Path, old: str, new: str, word: str) -> None:
    error = refused(folder, changed(old, new))
    assert word in str(error.what)
    assert str(error.where).startswith("rollout/stack.yaml, line ")


@pytest.mark.parametrize("text", ["", "services:\n", "- a\n", "services: [a]\n"])
def test_a_file_without_services_says_so(folder: Path, text: str) -> None:
    assert "no services" in str(refused(folder, text).what)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        stack.read(tmp_path, "voting.yaml", "rollout")
    assert "rollout/voting.yaml" in str(caught.value.remedy)
