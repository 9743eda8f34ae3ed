"""A finished image set cannot be written to by nodes, survives detaching, and is compared."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.engine import disk, engine_paths, node_image, orphans, sealed
from grader.engine.images import sets
from grader.engine.images.sets import ImageSet
from grader.engine.sandbox import Sandbox, builder
from grader.errors import EngineFault
from grader.paths import KIT
from tests.engine.images.attacks import ATTACKS

pytestmark = pytest.mark.engine

MAKE = """
mkdir -p /tmp/b && cd /tmp/b && echo first > note
tar -cf - note -C / -h usr/bin/tini lib64/ld-linux-x86-64.so.2 | docker import - b:1
mkdir -p /var/lib/docker/odd && cd /var/lib/docker/odd
echo x > one && ln one other && ln -s /nowhere link && mkfifo pipe && mknod gone c 0 0
cp /bin/true tool && chown 33:44 tool && chmod 6755 tool && touch -d @1.5 old
cp /bin/true capable
perl -e '
    my %number = (x86_64 => 188, aarch64 => 5);
    my ($set, $none) = ($number{`uname -m` =~ s/\\s//r}, "");
    my ($capable, $capability) = ("capable", "security.capability");
    my $bind_service = pack("V5", 0x02000001, 1 << 10, 0, 0, 0);
    syscall($set, $capable, $capability, $bind_service, 20, 0) == 0 or die "capability: $!";
    my ($one, $opaque, $y, $origin) = ("one", "user.overlay.opaque", "y", "user.overlay.origin");
    syscall($set, $one, $opaque, $y, 1, 0) == 0 or die "opaque: $!";
    syscall($set, $one, $origin, $none, 0, 0) == 0 or die "origin: $!";
'
"""
ODD = "tar --sort=name --format=posix --pax-option=delete=atime,delete=ctime --numeric-owner" \
      " --xattrs --xattrs-include='*' -cf - odd overlay2/*/diff | sha256sum"  # fmt: skip


def make(engine: Any, version: str, source: str | None = None) -> ImageSet:
    with contextlib.closing(engine.client(timeout=300)) as client:
        volume = sets.make_volume(engine, client, version)
        sets.prepare(engine, client, version, source)
        if source is None:
            with builder(engine, volume) as node:
                done = node.run(["bash", "-euc", MAKE], timeout=60)
                assert done.ok, done.out
        return sets.seal(engine, client, ImageSet(volume, version, {}))


@pytest.fixture(scope="module", params=["file", "view"])
def small(engine: Any, request: pytest.FixtureRequest) -> Iterator[ImageSet]:
    """A set with one small image, as the kit's own engine has it and as another one has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sets, "PREFIX", "drydock-test-sealed-")
        if request.param == "view":
            patch.setattr(sealed, "possible", lambda _engine: False)
        elif not sealed.possible(engine):
            pytest.skip("not the kit's own engine, or no root")
        node_image.ensure(engine)
        try:
            made = make(engine, "1")
            assert made.kind == request.param
            yield made
        finally:
            with contextlib.closing(engine.client()) as client:
                sets.remove_others(client, "none of them")


@pytest.fixture
def as_file(small: ImageSet) -> ImageSet:
    if small.kind != "file":
        pytest.skip("not a file")
    return small


def note(sandbox: Sandbox) -> str:
    """What the set's image has, seen through a layer of the node."""
    find = "cat /var/lib/docker/overlay2/*/diff/note && docker image inspect b:1 > /dev/null"
    done = sandbox.nodes[0].run(["sh", "-c", find], timeout=30)
    assert done.ok, done.out
    return done.out.strip()


def test_nothing_that_root_of_a_node_does_is_in_the_next_node(engine: Any, small: ImageSet) -> None:
    if engine.isolation != "userns":
        pytest.skip("root there is root here")
    with Sandbox.create(engine, image_set=small.volume) as sandbox:
        assert note(sandbox) == "first"
        layer = "layer=$(dirname $(ls /var/lib/docker/overlay2/*/diff/note))\n"
        said = sandbox.nodes[0].run(["sh", "-c", layer + ATTACKS], timeout=60).out
        assert "Read-only file system" in said
    with Sandbox.create(engine, image_set=small.volume) as sandbox:
        assert note(sandbox) == "first"
    assert sets.changed(engine, small, thorough=True) is None


def test_a_kit_with_another_data_directory_uses_it_as_it_is(
    engine: Any, as_file: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))
    with contextlib.closing(engine.client()) as client:
        found = sets.complete(client, as_file.version)
    assert found is not None
    assert (found.volume, found.kind) == (as_file.volume, "lent")
    assert sets.comparable(engine, found)
    assert sets.changed(engine, found, thorough=True) is None
    other = dataclasses.replace(found, identity="another", content="another")
    assert "has changed since it was built" in str(sets.changed(engine, other))
    with Sandbox.create(engine, image_set=found.volume) as sandbox:
        assert note(sandbox) == "first"


def test_the_file_system_itself_is_read_only(engine: Any, as_file: ImageSet) -> None:
    with Sandbox.create(engine, image_set=as_file.volume) as sandbox:
        lines = sandbox.nodes[0].run(["cat", "/proc/self/mountinfo"], timeout=20).out.splitlines()
        seeded = [line.split(" - ") for line in lines if "/seed " in line or "/diff " in line]
        assert len(seeded) >= 2
        for _, superblock in seeded:
            assert superblock.split()[2].split(",")[0] == "ro"
    assert Path(sealed.link(as_file.volume)).resolve().is_block_device()


CREATE = """
import sys
from grader.engine import find
from grader.engine.sandbox import Sandbox
with Sandbox.create(find.find("embedded"), image_set=sys.argv[1]) as sandbox:
    print(sandbox.nodes[0].run(["sh", "-c", "cat /seed/overlay2/*/diff/note"], timeout=30).out)
"""


def test_a_detached_set_is_attached_once_by_several_processes(as_file: ImageSet) -> None:
    # As after a restart of the machine.
    sealed._detach(as_file.volume)
    assert orphans.loops(sealed.file(as_file.volume)) == []
    started = [
        subprocess.Popen(
            [sys.executable, "-c", CREATE, as_file.volume],
            cwd=KIT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in started:
        said, _ = process.communicate(timeout=300)
        assert (process.returncode, said.strip()) == (0, "first")
    assert len(orphans.loops(sealed.file(as_file.volume))) == 1


def test_a_killed_process_leaves_a_device_that_the_next_one_uses(as_file: ImageSet) -> None:
    path, link = sealed.file(as_file.volume), sealed.link(as_file.volume)
    link.unlink()
    sealed.attach(as_file.volume, read_only=True)
    assert orphans.loops(path) == [str(link.readlink())]


def test_a_device_that_goes_with_its_last_user_is_not_counted_on(
    engine: Any, as_file: ImageSet
) -> None:
    before = sealed.link(as_file.volume).readlink()
    with Sandbox.create(engine, image_set=as_file.volume):
        # In use: the kernel detaches it later.
        orphans.detach_loops(sealed.file(as_file.volume))
        with Sandbox.create(engine, image_set=as_file.volume) as second:
            assert note(second) == "first"
    assert sealed.link(as_file.volume).readlink() != before
    with Sandbox.create(engine, image_set=as_file.volume) as third:
        assert note(third) == "first"


@pytest.mark.parametrize("read_only", [True, False])
def test_a_link_that_leads_elsewhere_is_set_right(
    engine: Any, as_file: ImageSet, tmp_path: Path, read_only: bool
) -> None:
    """As after a restart of the machine; a device that can be written to is none for nodes."""
    other = tmp_path / "other.img"
    if read_only:
        disk.make_file_system(other, 32, 0)
    device = disk.attach(other if read_only else sealed.file(as_file.volume), read_only=read_only)
    try:
        link = sealed.link(as_file.volume)
        link.unlink()
        link.symlink_to(device)
        with Sandbox.create(engine, image_set=as_file.volume) as sandbox:
            assert note(sandbox) == "first"
        assert str(link.readlink()) != device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_a_set_that_is_gone_is_not_taken_for_an_empty_one(engine: Any, small: ImageSet) -> None:
    with pytest.raises(EngineFault, match="no longer exists"):
        Sandbox.create(engine, image_set=f"{small.volume}-no")


def test_a_copy_is_the_same_in_all_that_layers_have(engine: Any, as_file: ImageSet) -> None:
    copied = make(engine, "2", source=as_file.volume)
    found = {sets._look(engine, volume, ODD) for volume in (as_file.volume, copied.volume)}
    assert len(found) == 1
    assert copied.content != as_file.content


def test_what_was_only_touched_is_the_same_set_and_what_was_written_is_not(
    engine: Any, small: ImageSet
) -> None:
    """The last test: the set is of no use afterwards."""
    with contextlib.closing(engine.client()) as client:
        if small.kind == "file":
            path = sealed.file(small.volume)
        else:
            if not engine.local or os.geteuid() != 0:
                pytest.skip("the volume's files cannot be reached")
            seen = client.api.inspect_volume(small.volume)["Options"]["device"]
            # The kit's own engine has a mount of its own over its data.
            place = engine_paths.current()
            data = seen.replace(str(place.run / "data"), str(place.data))
            (path,) = Path(data).glob("overlay2/*/diff/note")
        assert sets.changed(engine, small) is None
        times = path.stat()
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert sets.changed(engine, small) is None
        noted = sets.complete(client, small.version)
        assert noted is not None
        assert noted.identity != small.identity
        with path.open("r+b") as opened:
            opened.write(b"F")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert "has changed since it was built" in str(sets.changed(engine, noted))
