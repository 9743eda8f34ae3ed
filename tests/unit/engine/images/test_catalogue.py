"""The image catalogue: what is in it, and what its version follows from. No engine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from grader.engine.images import catalogue
from grader.engine.sources import bootstrap, host_package_config, pull
from grader.errors import KitError

ALLOWED = {
    "debian:bookworm",
    "debian:12",
    "debian:bookworm-slim",
    "debian:latest",
    "nginx:1.22",
    "nginx:stable",
    "nginx:latest",
    "php:8.2-fpm",
    "php:fpm",
    "mariadb:10.11",
    "mariadb:10",
    "mariadb:latest",
    "mysql:8",
    "mysql:8.0",
    "mysql:latest",
    "redis:7",
    "redis:7.0",
    "redis:latest",
    "redis:alpine",
    "wordpress:6",
    "wordpress:6-apache",
    "wordpress:latest",
    "python:3.11",
    "python:3",
    "python:3.11-slim",
    "python:slim",
    "python:latest",
    "alpine:3",
    "alpine:latest",
    "alpine:3.19",
    "drydock/demo:1.0",
    "drydock/demo:2.0",
    "drydock/demo:3.0",
}


def small(folder: Path, text: str = "") -> Path:
    """A catalogue of two images, the second built on the first."""
    for name in ("one", "two"):
        (folder / name).mkdir(parents=True)
        (folder / name / "Dockerfile").write_text(f"FROM scratch\nLABEL n={name}\n", "utf-8")
    default = (
        "images:\n"
        "  one: {tags: ['one:1'], recipe: one}\n"
        "  two: {tags: ['two:1', 'two:latest'], recipe: two, parents: [one]}\n"
    )
    (folder / "catalogue.yaml").write_text(text or default, "utf-8")
    return folder


def test_every_image_that_the_lab_allows_is_in_the_catalogue() -> None:
    assert set(catalogue.load().tags) >= ALLOWED


def test_each_image_can_be_shown_to_work() -> None:
    entries = catalogue.load()
    assert [image.name for image in entries.images if not (image.smoke and image.expect)] == []


def test_a_recipe_builds_on_the_parents_that_the_catalogue_names() -> None:
    entries = catalogue.load()
    for image in entries.images:
        lines = entries.recipe(image.recipe)["Dockerfile"].decode().splitlines()
        bases = {line.split()[1] for line in lines if line.startswith("FROM ")} - {"scratch"}
        if image.bootstrap:
            assert bases == {f"drydock/bootstrap:{image.bootstrap}"}
        else:
            assert bases == {entries[parent].tag for parent in image.parents}


def test_version_is_the_same_for_a_copy_with_other_line_ends(tmp_path: Path) -> None:
    copy = tmp_path / "images"
    shutil.copytree(catalogue.FOLDER, copy)
    for path in copy.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert catalogue.load(copy).version == catalogue.load().version


@pytest.mark.parametrize("other", ["node", "mirror"])
def test_version_follows_content_and_leaves_the_kits_own_images_out(
    tmp_path: Path, other: str
) -> None:
    folder = small(tmp_path / "a")
    first = catalogue.load(folder).version
    assert first == catalogue.load(small(tmp_path / "b")).version
    (folder / other).mkdir()
    (folder / other / "Dockerfile").write_text("FROM x\n", "utf-8")
    assert catalogue.load(folder).version == first
    (folder / "two" / "Dockerfile").write_text("FROM scratch\n", "utf-8")
    assert catalogue.load(folder).version != first


def test_a_changed_parent_changes_its_children_and_nothing_else(tmp_path: Path) -> None:
    folder = small(tmp_path)
    before = catalogue.load(folder)
    (folder / "two" / "extra").write_text("x", "utf-8")
    child_changed = catalogue.load(folder)
    (folder / "one" / "extra").write_text("x", "utf-8")
    parent_changed = catalogue.load(folder)

    def digests(entries: catalogue.Catalogue) -> list[str]:
        return [entries.digest(image, "here") for image in entries.images]

    assert digests(before)[0] == digests(child_changed)[0]
    assert digests(before)[1] != digests(child_changed)[1]
    assert digests(parent_changed)[0] != digests(child_changed)[0]
    assert digests(parent_changed)[1] != digests(child_changed)[1]


def test_the_machines_configuration_counts_for_debian_and_what_is_built_on_it() -> None:
    entries = catalogue.load()
    for image in entries.images:
        assert entries.digest(image, "here") != entries.digest(image, "there")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("images: [", "cannot be read"),
        ("nothing: here", 'no list of "images"'),
        ("images: {one: {tags: [], recipe: one}}", "at least one of `tags`"),
        ("images: {one: {tags: ['one'], recipe: one}}", "no version"),
        ("images: {one: {tags: ['one:1'], recipe: three}}", "no Dockerfile"),
        ("images: {one: {tags: ['one:1'], recipe: one, colour: red}}", "colour"),
        ("images: {one: {tags: ['a:1', 'a:1'], recipe: one}}", "belongs to one already"),
        ("images: {one: {tags: ['a:1'], recipe: one, parents: [two]}}", "before it"),
    ],
)
def test_a_faulty_catalogue_is_refused_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(KitError, match=says) as caught:
        catalogue.load(small(tmp_path, text))
    assert "catalogue.yaml" in str(caught.value.where)


def test_upstream_names_in_a_registry() -> None:
    assert pull.references("docker.io", "nginx:1.22") == ["nginx:1.22"]
    assert pull.references("r.example:5000", "nginx:1.22") == [
        "r.example:5000/library/nginx:1.22",
        "r.example:5000/nginx:1.22",
    ]
    assert pull.references("r.example/mirror", "a/b:1") == ["r.example/mirror/a/b:1"]


def test_nobody_is_asked_for_images_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRYDOCK_REGISTRY", raising=False)
    monkeypatch.delenv("DRYDOCK_PULL", raising=False)
    monkeypatch.setattr(bootstrap, "possible", lambda: True)
    assert not pull.choose().asks
    assert pull.choose("https://r.example/").registry == "r.example"
    assert pull.choose(pull=True).registry == "docker.io"
    monkeypatch.setenv("DRYDOCK_PULL", "1")
    assert pull.choose().registry == "docker.io"
    monkeypatch.setenv("DRYDOCK_REGISTRY", "r.example:5000")
    assert pull.choose().registry == "r.example:5000"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://pypi.example/simple", True),
        ("http://mirror.example:3142", True),
        ("file:///srv/wheels", False),
        ("/srv/wheels", False),
        ("http://localhost:3142", False),
        ("http://127.0.0.1:3142", False),
        ("https://me:secret@pypi.example/simple", False),
    ],
)
def test_only_what_makes_sense_in_an_image_goes_into_it(url: str, kept: bool) -> None:
    assert host_package_config.reachable_from_container(url) is kept


def test_own_authorities_are_those_that_the_distribution_does_not_ship(tmp_path: Path) -> None:
    def pem(body: str) -> str:
        return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"

    shipped = tmp_path / "shipped" / "mozilla"
    shipped.mkdir(parents=True)
    (shipped / "a.crt").write_text(pem("AAAA"), "utf-8")
    bundle = tmp_path / "bundle.crt"
    bundle.write_text(f"{pem('AAAA')}\n# ours\n{pem('BBBB')}\n", "utf-8")
    assert host_package_config.own_authorities(tmp_path / "shipped", bundle) == [pem("BBBB")]
    assert (
        host_package_config.own_authorities(tmp_path / "none", bundle, tmp_path / "anchors") == []
    )
    (tmp_path / "anchors").mkdir()
    (tmp_path / "anchors" / "own.pem").write_text(pem("CCCC"), "utf-8")
    assert host_package_config.own_authorities(tmp_path / "none", bundle, tmp_path / "anchors") == [
        pem("CCCC")
    ]


def test_a_part_has_what_is_asked_for_and_its_parents(tmp_path: Path) -> None:
    entries = catalogue.load()
    part = entries.part(["drydock/demo:latest", "redis:alpine"])
    assert part.names == ("debian", "nginx", "redis", "demo-2")
    for image in part.images:
        assert part.digest(image, "here") == entries.digest(image, "here")
    assert entries.part(entries.tags) is entries
    assert entries.part(["no:such"]).names == ()


def test_the_version_of_a_part_is_its_own(tmp_path: Path) -> None:
    entries = catalogue.load()
    one, other = entries.part(["redis:7"]), entries.part(["nginx:1.22"])
    assert len({entries.version, one.version, other.version}) == 3
    assert one.version.startswith(catalogue.PART)
    assert entries.part(["redis:latest"]).version == one.version
    folder = small(tmp_path)
    before = catalogue.load(folder).part(["one:1"])
    (folder / "two" / "extra").write_text("x", "utf-8")
    assert catalogue.load(folder).part(["one:1"]).version != before.version


def test_mentioned_images_are_found_in_any_text() -> None:
    entries = catalogue.load()
    assert entries.mentioned("nothing") == set()
    assert entries.mentioned("FROM docker.io/library/redis") == {*entries["redis"].tags}
    assert {*entries["demo-1"].tags, *entries["demo-3"].tags} <= entries.mentioned("drydock/demo")
