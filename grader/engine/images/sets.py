"""Where image sets are: the volumes that nodes read, and a marker that a set is complete.

A set is the /var/lib/docker of an engine that has the images. It is made in the volume
`drydock-images-VERSION-content`. Nodes get `drydock-images-VERSION-sealed`, in which no node can
write. On the kit's own engine this is a file with its own file system (see `sealed`), which
replaces the first volume. On other engines it is a read-only view of the first volume, which an
engine that remaps users locks for its containers. An empty volume beside it, made last, is the
marker: its labels list the images, so one request of a millisecond returns everything about a set.

Nodes could write to sets of older kits, in the volume `drydock-images-VERSION`. No node uses them
any more; the kit only takes their images over (see `carry`).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from grader.engine import node_image, reaper, sealed
from grader.engine.images.catalogue import PART
from grader.errors import EngineFault, KitError

if TYPE_CHECKING:
    from pathlib import Path

    import docker

    from grader.engine.client import Engine

PREFIX = "drydock-images-"
CONTENT = "-content"
MARKER = "-complete"
ROLE = "drydock.role"
SET = "image-set"
SET_MARKER = "image-set-marker"

Kind = Literal["file", "lent", "view", "open"]
PROTECTION: Mapping[Kind, str] = {
    "file": "in a file system of its own that nodes cannot write to",
    "lent": "in a read-only file system of the kit whose engine this is",
    "view": "in a volume that nodes have read-only, compared when grading begins",
    "open": "made by an older version of the kit, not used before it is carried over",
}


@dataclass(frozen=True)
class ImageSet:
    """A complete set. `images`: {name in the catalogue: {"id", "origin", "recipe"}}.

    `origin` is "built" or "pulled REFERENCE@DIGEST"; `recipe` the hash of what it was made from;
    `site` the hash of the machine's configuration in the images. `volume` is what nodes are seeded
    from. `kind` says what prevents nodes from changing it: "file" a read-only file system, "lent"
    that of another data directory's kit, "view" a read-only mount, "open" nothing. `identity`
    changes with every write to it and is quick to read; `content` is the SHA-256 of all of it.
    """

    volume: str
    version: str
    images: Mapping[str, Mapping[str, str]]
    site: str = ""
    kind: Kind = "open"
    identity: str = field(default="", compare=False)
    content: str = field(default="", compare=False)

    @property
    def protection(self) -> str:
        return PROTECTION[self.kind]


def volume_name(version: str) -> str:
    return f"{PREFIX}{version}"


def content_name(version: str) -> str:
    return volume_name(version) + CONTENT


def sealed_name(version: str) -> str:
    return volume_name(version) + sealed.SEALED


def complete(client: docker.DockerClient, version: str) -> ImageSet | None:
    """The complete set of this version for seeding nodes, or None; one request."""
    for found in complete_sets(client, volume_name(version)):
        if found.version == version and found.kind != "open":
            return found
    return None


def complete_sets(client: docker.DockerClient, name: str | None = None) -> list[ImageSet]:
    """All complete sets of the engine (with `name` in their volumes' names), newest first."""
    volumes = _volumes(client, name)
    names = {volume["Name"]: volume for volume in volumes}
    found: list[tuple[str, ImageSet]] = []
    for volume in volumes:
        labels = volume.get("Labels") or {}
        data = volume["Name"].removesuffix(MARKER)
        if labels.get(ROLE) != SET_MARKER or data not in names:
            continue
        kind = _kind(labels.get("drydock.kind"))
        if kind == "file" and sealed.lent(names[data]):
            kind = "lent"
        if kind == "file" and not sealed.file(data).exists():
            continue
        if kind == "view" and data.removesuffix(sealed.SEALED) + CONTENT not in names:
            continue
        try:
            note = json.loads(labels["drydock.images"])
            version = labels["drydock.version"]
        except (KeyError, ValueError):
            continue
        image_set = ImageSet(
            data,
            version,
            note,
            labels.get("drydock.site", ""),
            kind,
            labels.get("drydock.identity", ""),
            labels.get("drydock.content", ""),
        )
        found.append((str(volume.get("CreatedAt", "")), image_set))
    return [image_set for _, image_set in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _kind(word: str | None) -> Kind:
    if word == "file":
        return "file"
    return "view" if word == "view" else "open"


def _volumes(client: docker.DockerClient, name: str | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        client.api.volumes(filters={"name": name or PREFIX})["Volumes"] or []
    )
    return found


def make_volume(engine: Engine, client: docker.DockerClient, version: str) -> str:
    """The volume to fill; what an interrupted build left in it stays.

    If it is a file, a complete set stays beside it until `seal`. Otherwise it is in the volume of
    that set, which then is no longer complete.
    """
    name, labels = content_name(version), {ROLE: SET, "drydock.version": version}
    options: dict[str, str] = {}
    if sealed.possible(engine):
        options = sealed.options(name, read_only=False)
        if complete(client, version) is None:
            remove_volume(client, sealed_name(version))
            sealed.take_up(sealed_name(version), name)
        sealed.begin(name, engine.mapped_uid)
    else:
        remove_marker(client, version)
    there = next((volume for volume in _volumes(client, name) if volume["Name"] == name), None)
    if there is not None and (there.get("Options") or {}) != options:
        remove_volume(client, name)
    client.api.create_volume(name, driver="local", driver_opts=options, labels=labels)
    return name


def seal(engine: Engine, client: docker.DockerClient, made: ImageSet) -> ImageSet:
    """The last step: from now on nodes are seeded from the set. `made.volume` is make_volume's."""
    version = made.version
    name = sealed_name(version)
    content = client.api.inspect_volume(made.volume)
    remove_marker(client, version)
    remove_volume(client, name)
    labels = {ROLE: SET, "drydock.version": version}
    if sealed.owns(content):
        # Which also unmounts it.
        remove_volume(client, made.volume)
        sealed.finish(made.volume, name)
        options = sealed.options(name, read_only=True)
        kind: Kind = "file"
    else:
        options = {"type": "none", "o": "bind,ro", "device": str(content["Mountpoint"])}
        kind = "view"
    client.api.create_volume(name, driver="local", driver_opts=options, labels=labels)
    done = replace(made, volume=name, kind=kind)
    done = replace(done, identity=_identity(engine, done), content=digest(engine, done))
    mark_complete(client, done)
    return done


def adopt(client: docker.DockerClient, image_set: ImageSet) -> None:
    """Record a set whose file another kit has made, after this engine's kit has put it in place."""
    name = image_set.volume
    labels = {ROLE: SET, "drydock.version": image_set.version}
    options = sealed.options(name, read_only=True)
    client.api.create_volume(name, driver="local", driver_opts=options, labels=labels)
    mark_complete(
        client, replace(image_set, kind="file", identity=sealed.identity(sealed.file(name)))
    )


def mark_complete(client: docker.DockerClient, image_set: ImageSet) -> None:
    labels = {
        ROLE: SET_MARKER,
        "drydock.version": image_set.version,
        "drydock.site": image_set.site,
        "drydock.images": json.dumps(
            {name: dict(image) for name, image in image_set.images.items()}
        ),
        "drydock.kind": image_set.kind,
        "drydock.identity": image_set.identity,
        "drydock.content": image_set.content,
    }
    client.api.create_volume(image_set.volume + MARKER, labels=labels)


def remove_marker(client: docker.DockerClient, version: str) -> None:
    remove_volume(client, sealed_name(version) + MARKER)


def remove_volume(client: docker.DockerClient, name: str) -> None:
    from docker.errors import NotFound

    with contextlib.suppress(NotFound):
        client.api.remove_volume(name)


def remove(client: docker.DockerClient, version: str) -> bool:
    """Remove a set; False if nodes still use it."""
    from docker.errors import APIError

    data = [name(version) for name in (sealed_name, content_name, volume_name)]
    there = {volume["Name"]: volume for volume in _volumes(client, volume_name(version))}
    for name in data:
        try:
            remove_volume(client, name)
        except APIError as error:
            if error.status_code == 409:
                return False
            raise
        if name in there and sealed.owns(there[name]):
            sealed.remove(name)
        # A marker alone counts for nothing, so a crash between the two does no harm.
        remove_volume(client, name + MARKER)
    return True


def remove_others(client: docker.DockerClient, version: str) -> None:
    """Remove sets of other versions, and of older kits, that no container uses; not parts, which
    this process may be about to use."""
    from docker.errors import APIError

    for other in _versions(client):
        if other != version and not other.startswith(PART):
            remove(client, other)
    if complete(client, version) is not None:
        with contextlib.suppress(APIError):
            remove_volume(client, volume_name(version))
            remove_volume(client, volume_name(version) + MARKER)
    left = _volumes(client)
    if any(sealed.owns(volume) for volume in left):
        sealed.sweep(PREFIX, [volume["Name"] for volume in left])


def remove_parts(client: docker.DockerClient) -> None:
    """Remove all parts of sets, finished or not, that no container uses."""
    for version in _versions(client):
        if version.startswith(PART):
            remove(client, version)


def _versions(client: docker.DockerClient) -> set[str]:
    """The versions of all sets and parts, also of unfinished ones."""
    found = [volume.get("Labels") or {} for volume in _volumes(client)]
    return {
        labels["drydock.version"]
        for labels in found
        if labels.get(ROLE) in (SET, SET_MARKER) and "drydock.version" in labels
    }


def sources(engine: Engine, client: docker.DockerClient, version: str) -> Iterator[ImageSet]:
    """Sets to begin from, the best first: complete and unchanged ones, otherwise an unfinished
    set of another version."""
    found = complete_sets(client)
    found.sort(key=lambda one: (one.version != version, one.kind == "open"))
    for one in found:
        # A view of this version is of the very volume that is filled.
        mine = one.version == version and one.kind == "view"
        if not mine and (one.kind == "open" or changed(engine, one) is None):
            yield one
    begun = [
        volume
        for volume in _volumes(client)
        if volume["Name"].endswith(CONTENT) and volume["Name"] != content_name(version)
    ]
    begun.sort(key=lambda volume: str(volume.get("CreatedAt", "")), reverse=True)
    for volume in begun:
        yield ImageSet(volume["Name"], "", {}, kind="view")


def refuse_change_in_use(client: docker.DockerClient, version: str) -> None:
    """Raise KitError if containers use the set of this version."""
    users = client.api.containers(all=True, filters={"volume": sealed_name(version)})
    if users:
        raise KitError(
            "Sandboxes use the image set, so it cannot be changed now.",
            where=", ".join(str(user["Names"][0]).lstrip("/") for user in users),
            remedy="Wait until grading has ended, or remove your swarm's nodes (nox -s swarm -- "
            "down); then try again.",
        )


def changed(engine: Engine, image_set: ImageSet, *, thorough: bool = False) -> str | None:
    """What is wrong with the set, as a sentence; None if it is unchanged.

    It compares the set's identity. Only if that differs (for example because the data directory was
    copied), or if `thorough`, it reads all of the set, which takes some seconds. Raises
    EngineFault.
    """
    if image_set.kind == "open":
        return "The image set was made by a version of the kit that let sandboxes write to it."
    if not comparable(engine, image_set):
        return None
    found = _identity(engine, image_set)
    if found == image_set.identity and not thorough:
        return None
    if digest(engine, image_set) == image_set.content:
        if found != image_set.identity and image_set.kind != "lent":
            with contextlib.closing(engine.client()) as client:
                remove_marker(client, image_set.version)
                mark_complete(client, replace(image_set, identity=found))
        return None
    return "The content of the image set has changed since it was built."


def comparable(engine: Engine, image_set: ImageSet) -> bool:
    """Whether this user can compare the set: the file of a kit with another data directory may
    be readable by its owner only."""
    return image_set.kind != "lent" or _file(engine, image_set) is not None


def _file(engine: Engine, image_set: ImageSet) -> Path | None:
    if image_set.kind == "file":
        return sealed.file(image_set.volume)
    if image_set.kind != "lent":
        return None
    with contextlib.closing(engine.client()) as client:
        return sealed.lender(client.api.inspect_volume(image_set.volume))


def digest(engine: Engine, image_set: ImageSet) -> str:
    if path := _file(engine, image_set):
        return sealed.digest(path)
    return _look(engine, image_set.volume, DIGEST)


def _identity(engine: Engine, image_set: ImageSet) -> str:
    if path := _file(engine, image_set):
        return sealed.identity(path)
    return _look(engine, image_set.volume, IDENTITY)


IDENTITY = r"find . -printf '%P %y %i %n %m %U %G %s %T@ %C@ %l\0' | LC_ALL=C sort -z | sha256sum"
DIGEST = (
    "tar --sort=name --format=posix --pax-option=delete=atime,delete=ctime --numeric-owner"
    " --xattrs --xattrs-include='*' -cf - . | openssl dgst -sha256 -r"
)


def _look(engine: Engine, volume: str, command: str) -> str:
    """The first word that a command in the volume prints."""
    with contextlib.closing(engine.client()) as client:
        node_image.ensure(engine)
        script = f"set -eu; cd /seed; {command}"
        binds = {volume: {"bind": "/seed", "mode": "ro"}}
        said = _run(engine, client, script, binds, "look at an image set")
    words = said.split()
    if not words:
        raise EngineFault("The image set cannot be read.", where=volume)
    return words[0]


def prepare(engine: Engine, client: docker.DockerClient, version: str, source: str | None) -> None:
    """Fill the volume from the volume `source`, once; an interrupted copy is redone."""
    binds = {content_name(version): {"bind": "/to", "mode": "rw"}}
    if source is not None:
        binds[source] = {"bind": "/from", "mode": "ro"}
    done = f"/to/.prepared-{version}"
    # What ext4 has at its top is not the containers' root's.
    each = "-mindepth 1 -maxdepth 1 ! -name lost+found"
    script = (
        f"set -eu; [ ! -e {done} ] || exit 0; find /to {each} -exec rm -rf {{}} +; "
        f"[ ! -d /from ] || find /from {each} -exec cp -a -t /to {{}} +; "
        f"rm -f /to/.prepared-*; touch {done}"
    )
    _run(engine, client, script, binds, "copy of an image set")


def _run(
    engine: Engine,
    client: docker.DockerClient,
    script: str,
    binds: Mapping[str, Mapping[str, str]],
    purpose: str,
) -> str:
    """Run a shell script in a container that sees only the volumes; return its output."""
    run = reaper.Run.begin(engine, purpose=purpose)
    try:
        for volume in binds:
            sealed.ready(client, volume)
        made = client.api.create_container(
            node_image.tag(),
            entrypoint=["/bin/bash", "-o", "pipefail", "-c", script],
            labels=run.labels("image-set-copy"),
            host_config=client.api.create_host_config(
                binds=dict(binds),
                network_mode="none",
                # Layers carry attributes that only an administrator of the engine may set.
                cap_add=["SYS_ADMIN"],
                security_opt=["seccomp=unconfined"],
            ),
        )
        client.api.start(made["Id"])
        code = client.api.wait(made["Id"], timeout=1200)["StatusCode"]
        said = _log(client, made["Id"], stderr=code != 0)
        if code != 0:
            raise EngineFault(
                f"The volume of the image set could not be filled or read (exit code {code}): "
                f"{said.strip()[-500:]}",
                remedy="Check the free disk space: python -m grader doctor",
            )
        return said
    finally:
        run.end()


def _log(client: docker.DockerClient, container: str, *, stderr: bool) -> str:
    return bytes(client.api.logs(container, stderr=stderr)).decode("utf-8", errors="replace")
