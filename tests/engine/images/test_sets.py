"""Image sets are made, resumed, renewed, carried over and verified: with two tiny images."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from grader.cli import main
from grader.engine import images, sealed
from grader.engine.images import bundle, sets, verify
from grader.engine.images.sets import ImageSet
from grader.engine.sandbox import Sandbox
from grader.errors import EngineFault, KitError
from tests.engine.images.recipes import CATALOGUE, Recipes, built, volumes

pytestmark = pytest.mark.engine


def test_a_set_is_made_once_and_then_found_at_once(
    engine: Any, recipes: Recipes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert images.find(engine) is None
    made = images.ensure(engine)
    # One recipe under two names is built once.
    assert built(capsys.readouterr().err) == ["one:1", "two:1"]
    assert made.images["one"]["id"] == made.images["same"]["id"] != made.images["two"]["id"]
    started = time.monotonic()
    assert images.ensure(engine) == made
    assert time.monotonic() - started < 1
    assert images.build(engine, again=True) == made
    assert capsys.readouterr().err == ""
    with Sandbox.create(engine, image_set=made.volume) as sandbox:
        said = sandbox.nodes[0].docker.containers.run("two:1", ["/bin/cat", "/note"], remove=True)
        assert said == b"second"
    assert volumes(engine) == {made.volume, made.volume + sets.MARKER}


def test_a_build_that_failed_goes_on_where_it_was(
    engine: Any, recipes: Recipes, capsys: pytest.CaptureFixture[str]
) -> None:
    recipes.write("two/Dockerfile", 'FROM one:1\nRUN ["/bin/cat", "/no/such/file"]\n')
    with pytest.raises(EngineFault, match=r"two:1 could not be built(?s:.*)No such file"):
        images.ensure(engine)
    assert built(capsys.readouterr().err) == ["one:1"]
    assert images.find(engine) is None
    with pytest.raises(EngineFault, match="two:1 could not be built"):
        images.ensure(engine)
    assert built(capsys.readouterr().err) == []
    # The fixed recipe is another version: what was made for the broken one counts.
    recipes.write("two/Dockerfile", "FROM one:1\nCOPY note /note\n")
    images.ensure(engine)
    assert built(capsys.readouterr().err) == ["two:1"]


def test_a_change_makes_anew_what_it_touches_and_the_old_set_goes(
    engine: Any, recipes: Recipes, capsys: pytest.CaptureFixture[str]
) -> None:
    old = images.ensure(engine)
    capsys.readouterr()
    recipes.write("two/note", "second, changed")
    with Sandbox.create(engine, image_set=old.volume):
        new = images.ensure(engine)
        assert built(capsys.readouterr().err) == ["two:1"]
        assert new.version != old.version
        assert new.images["one"] == old.images["one"]
        assert new.images["two"] != old.images["two"]
        # A sandbox still uses it.
        assert old.volume in volumes(engine)
        recipes.write("two/note", "second")
        with pytest.raises(KitError, match="Sandboxes use"):
            images.build(engine, fresh=True)
    recipes.write("one/note", "first, changed")
    newest = images.ensure(engine)
    assert built(capsys.readouterr().err) == ["one:1", "two:1"]
    assert volumes(engine) == {newest.volume, newest.volume + sets.MARKER}
    assert [finding.problem for finding in verify.verify(engine, newest)] == [None] * 3


def test_without_its_marker_or_its_volume_a_set_is_not_complete(
    engine: Any, recipes: Recipes, capsys: pytest.CaptureFixture[str]
) -> None:
    made = images.ensure(engine)
    with contextlib.closing(engine.client()) as client:
        sets.remove_marker(client, made.version)
        assert images.find(engine) is None
        sets.mark_complete(client, made)
        assert images.find(engine) == made
        client.api.remove_volume(made.volume)
        assert images.find(engine) is None
    # As after a kill between the last steps: nothing is built again.
    capsys.readouterr()
    assert images.ensure(engine) == made
    assert built(capsys.readouterr().err) == []


def test_a_set_that_was_changed_on_disk_is_not_used(
    engine: Any, recipes: Recipes, capsys: pytest.CaptureFixture[str]
) -> None:
    made = images.ensure(engine)
    if made.kind != "file":
        pytest.skip("see test_sealed for volumes")
    path = sealed.file(made.volume)
    with path.open("r+b") as file:
        # In the boot block, which ext4 does not use: only a comparison tells.
        file.write(b"x")
    with pytest.raises(KitError, match="has changed since it was built"):
        bundle.save(engine, made, path.with_suffix(".bundle"))
    capsys.readouterr()
    with (
        Sandbox.create(engine, image_set=made.volume),
        pytest.raises(KitError, match="Sandboxes use"),
    ):
        images.ensure(engine)
    capsys.readouterr()
    renewed = images.ensure(engine)
    said = capsys.readouterr().err
    assert "has changed since it was built" in said
    assert built(said) == ["one:1", "two:1"]
    assert [finding.problem for finding in verify.verify(engine, renewed)] == [None] * 3


def as_an_older_kit(engine: Any, made: ImageSet, change: str = "") -> ImageSet:
    """Put the set where older kits had it, and remove it; `change` is a shell command in it."""
    old = dataclasses.replace(made, volume=sets.volume_name(made.version))
    with contextlib.closing(engine.client()) as client:
        client.api.create_volume(old.volume, labels={sets.ROLE: sets.SET})
        binds = {made.volume: {"bind": "/from", "mode": "ro"}, old.volume: {"bind": "/to"}}
        copy = "cd /from; cp -a -t /to $(ls -A | grep -v lost+found); cd /to; "
        sets._run(engine, client, copy + change, binds, "test")
        labels = {
            sets.ROLE: sets.SET_MARKER,
            "drydock.version": old.version,
            "drydock.site": old.site,
            "drydock.images": json.dumps(old.images),
        }
        client.api.create_volume(old.volume + sets.MARKER, labels=labels)
        client.api.remove_volume(made.volume)
        sets.remove_marker(client, made.version)
        if made.kind == "file":
            sealed.remove(made.volume)
        else:
            client.api.remove_volume(sets.content_name(made.version))
    return old


def test_the_images_of_an_older_kits_set_are_taken_over_if_they_are_what_they_were(
    engine: Any, recipes: Recipes, capsys: pytest.CaptureFixture[str]
) -> None:
    made = images.ensure(engine)
    old = as_an_older_kit(engine, made)
    assert images.find(engine) is None
    capsys.readouterr()
    assert images.ensure(engine) == made
    assert built(capsys.readouterr().err) == []
    assert old.volume not in volumes(engine)
    # Nodes could write to such a set.
    as_an_older_kit(engine, made, "printf hacked > $(grep -lx second overlay2/*/diff/note)")
    capsys.readouterr()
    renewed = images.ensure(engine)
    said = capsys.readouterr().err
    assert "cannot be reused" in said
    assert "two:1" in built(said)
    assert [finding.problem for finding in verify.verify(engine, renewed)] == [None] * 3


def test_a_bundle_carries_the_set_to_where_there_is_nothing(
    engine: Any, recipes: Recipes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = images.ensure(engine)
    file = tmp_path / "out" / "my images.bundle"
    file.parent.mkdir()
    assert main(["images", "save", str(file), "--engine", engine.url]) == 0
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert set(bundle.ids(file).values()) == {image["id"] for image in made.images.values()}
    with bundle.stream(file) as chunks:
        assert b"manifest.json" in b"".join(chunks)
    with contextlib.closing(engine.client()) as client:
        sets.remove(client, made.version)
    assert images.find(engine) is None
    capsys.readouterr()
    assert main(["images", "load", str(file), "--engine", engine.url]) == 0
    assert built(capsys.readouterr().err) == []
    assert images.find(engine) == made
    assert main(["images", "verify", "--engine", engine.url]) == 0

    recipes.write("one/note", "first, another version")
    with pytest.raises(KitError, match="another version"):
        bundle.load(engine, file)
    recipes.write("one/note", "first")

    damaged = tmp_path / "damaged.bundle"
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(damaged, "w") as copy:
        for name in source.namelist():
            content = source.read(name)
            copy.writestr(name, content[:-600] if name == bundle.IMAGES else content)
    with pytest.raises(KitError, match="damaged"):
        bundle.load(engine, damaged)
    assert images.find(engine) is None


@pytest.mark.parametrize("content", [b"", b"no bundle", None])
def test_what_is_no_bundle_is_refused(engine: Any, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "file"
    if content is None:
        with zipfile.ZipFile(file, "w") as other:
            other.writestr("manifest.json", '{"format": 1, "images": []}')
    else:
        file.write_bytes(content)
    with pytest.raises(KitError, match="not a bundle"):
        bundle.load(engine, file)
    with pytest.raises(KitError, match="does not exist"):
        bundle.load(engine, tmp_path / "nothing")


def test_verify_says_which_image_is_not_as_it_should_be(engine: Any, recipes: Recipes) -> None:
    made = images.ensure(engine)
    noted = {**made.images, "two": {**made.images["two"], "id": made.images["one"]["id"]}}
    del noted["same"]
    lied = dataclasses.replace(made, images=noted)
    problems = {finding.name: finding.problem for finding in verify.verify(engine, lied)}
    assert problems["one"] is None
    assert "another image" in str(problems["two"])
    assert "does not have it" in str(problems["same"])
    recipes.write("catalogue.yaml", CATALOGUE.replace("expect: second", "expect: third"))
    (_, two, _) = verify.verify(engine, made)
    assert "does not say 'third'" in str(two.problem)


@pytest.mark.parametrize(
    "words", [["save"], ["load"], ["build", "file"], ["list", "--pull"], ["verify", "--fresh"]]
)
def test_bad_usage_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", *words]) == 2
    assert "images" in capsys.readouterr().err
