"""The image that a sandbox's nodes run: made once per engine, named after its contents."""

from __future__ import annotations

import contextlib
import io
import platform
import tarfile
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader import paths
from grader.console import task
from grader.engine.sources import bootstrap
from grader.errors import EngineFault

if TYPE_CHECKING:
    import docker
    from filelock import FileLock

    from grader.engine.client import Engine

RECIPE = paths.TEMPLATES / "images" / "node"
MIRROR_RECIPE = paths.TEMPLATES / "images" / "mirror"
ROOTFS = "drydock/node-rootfs"
NODE = "drydock/node"
MIRROR = "drydock/mirror"
LABELS = {"drydock.role": "node-image"}


def rootfs_tag() -> str:
    """Name of the image with the packages, derived from recipe.yaml and the architecture."""
    content = (RECIPE / "recipe.yaml").read_bytes() + platform.machine().encode()
    return f"{ROOTFS}:{sha256(content).hexdigest()[:12]}"


def tag() -> str:
    """Name of the node image, derived from all files of its recipe."""
    return _tag(NODE, RECIPE, rootfs_tag())


def mirror_tag() -> str:
    """Name of the mirror's image, which is the node image with another entry point."""
    return _tag(MIRROR, MIRROR_RECIPE, tag())


def _tag(name: str, recipe: Path, base: str) -> str:
    digest = sha256(base.encode())
    for path in sorted(recipe.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{name}:{digest.hexdigest()[:12]}"


def ensure(engine: Engine) -> str:
    """The node image's name; builds the parts that the engine does not have."""
    with contextlib.closing(engine.client(timeout=600)) as client:
        if not _has(client, tag()):
            with _lock():
                if not _has(client, tag()):
                    if not _has(client, rootfs_tag()):
                        _make_rootfs(client)
                    _build(client, tag(), RECIPE, rootfs_tag())
    return tag()


def ensure_mirror(engine: Engine) -> str:
    """The same for the mirror's image; takes a second."""
    name, node = mirror_tag(), ensure(engine)
    with contextlib.closing(engine.client(timeout=600)) as client:
        if not _has(client, name):
            with _lock():
                if not _has(client, name):
                    _build(client, name, MIRROR_RECIPE, node)
    return name


def _lock() -> FileLock:
    from filelock import FileLock

    home = paths.data_dir()
    home.mkdir(parents=True, exist_ok=True)
    return FileLock(home / "node-image.lock", timeout=1200, mode=0o666)


def present(client: docker.DockerClient) -> bool:
    """Whether the engine has the image's packages, which take the time."""
    return _has(client, rootfs_tag())


def _has(client: docker.DockerClient, name: str) -> bool:
    from docker.errors import ImageNotFound

    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def _recipe() -> dict[str, Any]:
    import yaml

    recipe: dict[str, Any] = yaml.safe_load((RECIPE / "recipe.yaml").read_text("utf-8"))
    return recipe


def _make_rootfs(client: docker.DockerClient) -> None:
    """From Debian packages if this machine can; otherwise on top of the upstream image."""
    recipe = _recipe()
    if bootstrap.possible():
        bootstrap.install()
        options = [
            f"--include={','.join(recipe['packages'])}",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/man/*",
        ]
        with (
            task("Making the node image from Debian packages (once, about a minute)") as detail,
            tempfile.TemporaryDirectory(dir=paths.data_dir(), prefix="node-") as folder,
        ):
            tarball = Path(folder) / "node.tar"
            bootstrap.make(str(recipe["suite"]), options, tarball, detail, what="the node image")
            detail("handing it to the engine")
            repository, name = rootfs_tag().split(":")
            client.api.import_image_from_file(
                str(tarball),
                repository=repository,
                tag=name,
                changes=[f"LABEL {key}={value}" for key, value in LABELS.items()],
            )
        return
    with task("Making the node image from the registry's Debian (once)") as detail:
        _rootfs_from_registry(client, recipe, detail)


def _rootfs_from_registry(client: docker.DockerClient, recipe: dict[str, Any], detail: Any) -> None:
    """The only place that asks a registry for the node: on machines without apt."""
    from grader.engine.sources import pull

    source = pull.choose()
    fault: EngineFault | None = None
    for reference in pull.references(source.registry or pull.HUB, str(recipe["upstream"])):
        lines = [
            f"FROM {reference}",
            "RUN apt-get update && apt-get install -y --no-install-recommends "
            + " ".join(recipe["packages"])
            + " && rm -rf /var/lib/apt/lists/*",
        ]
        files = {"Dockerfile": ("\n".join(lines) + "\n").encode()}
        try:
            _docker_build(client, files, rootfs_tag(), {}, detail)
            return
        except EngineFault as error:
            fault = error
    raise EngineFault(
        fault.what if fault else "No registry has Debian.",
        remedy="Without a registry, a machine with apt can build it: install mmdebstrap there, or "
        "load a bundle: python -m grader images load FILE",
    )


def _build(client: docker.DockerClient, name: str, recipe: Path, base: str) -> None:
    files = {path.name: path.read_bytes() for path in sorted(recipe.iterdir())}
    _docker_build(client, files, name, {"BASE": base}, lambda _line: None)


def _docker_build(
    client: docker.DockerClient,
    files: dict[str, bytes],
    name: str,
    arguments: dict[str, str],
    detail: Any,
) -> None:
    from docker.errors import APIError

    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for path, content in files.items():
            # Line ends of a Windows checkout would break the scripts.
            content = content.replace(b"\r\n", b"\n")
            member = tarfile.TarInfo(path)
            member.size = len(content)
            member.mode = 0o755 if content.startswith(b"#!") else 0o644
            tar.addfile(member, io.BytesIO(content))
    context.seek(0)
    last = ""
    try:
        for event in client.api.build(
            fileobj=context,
            custom_context=True,
            tag=name,
            buildargs=arguments,
            labels=LABELS,
            rm=True,
            forcerm=True,
            decode=True,
        ):
            if "error" in event:
                raise EngineFault(
                    f"The node image could not be built: {event['error']}", where=last
                )
            if event.get("stream", "").strip():
                last = event["stream"].strip()
                detail(last)
    except APIError as error:
        raise EngineFault(f"The node image could not be built: {error.explanation}") from None
