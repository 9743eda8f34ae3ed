"""Fills an image set's volume: pulls or builds what is missing or out of date."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from docker import DockerClient
from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from grader.console import say
from grader.engine.images import context
from grader.engine.images.catalogue import Catalogue, Image
from grader.engine.sources import bootstrap, pull
from grader.engine.sources.host_package_config import Site
from grader.errors import EngineFault, Stopped

if TYPE_CHECKING:
    from grader.engine.node import SandboxNode

AT_ONCE = 2
"""Builds at the same time: on two cores, unpacking and downloading alternate well."""

RECIPE = "drydock.recipe"
ORIGIN = "drydock.origin"
PARENTS = "drydock.parents"
BUILT = "built"
SECONDS = 900
"""How long an engine may be silent during a build."""


@dataclass
class Work:
    """Fills one volume. `node` is the builder, `host` a client of the host's engine."""

    catalogue: Catalogue
    site: Site
    source: pull.Source
    node: SandboxNode
    host: DockerClient
    detail: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event)
    debian: Mapping[str, bootstrap.Tarball] = field(default_factory=dict)
    """Images whose Debian is being made already (see `begin_debian`)."""
    done: dict[str, dict[str, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def run(self) -> dict[str, dict[str, str]]:
        """Make all images, parents first; {name: {"id", "origin", "recipe"}}.

        Raises the first EngineFault after the running builds have ended. Once `stop` is set, they
        are ended, and Stopped is raised. Finished images stay, and the next run finds them.
        """
        waiting = list(self.catalogue.images)
        running: dict[Future[dict[str, str]], Image] = {}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                while waiting or running:
                    active = {image.recipe for image in running.values()}
                    for image in list(waiting):
                        if len(running) >= AT_ONCE:
                            break
                        ready = all(parent in self.done for parent in image.parents)
                        # What two images of one recipe have in common is built once.
                        if ready and image.recipe not in active:
                            waiting.remove(image)
                            active.add(image.recipe)
                            running[pool.submit(self._make, image)] = image
                    ended, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                    for future in ended:
                        self.done[running.pop(future).name] = future.result()
                    if self.stop.is_set():
                        raise Stopped
            except BaseException as error:
                if not isinstance(error, EngineFault):
                    self.stop.set()
                    # A step that is only about to begin is ended by the next round.
                    while wait(running, timeout=0.5).not_done:
                        self._end_steps()
                raise
        with contextlib.closing(self.node.connect(timeout=SECONDS)) as client:
            _tidy(client, self.catalogue)
        return {image.name: self.done[image.name] for image in self.catalogue.images}

    def _end_steps(self) -> None:
        """End the running build steps, which may be silent for long."""
        with (
            contextlib.suppress(DockerException, RequestException),
            contextlib.closing(self.node.connect(timeout=10)) as client,
        ):
            for container in client.api.containers():
                client.api.kill(container["Id"])

    def digest(self, image: Image) -> str:
        return self.catalogue.digest(image, self.site.digest)

    def _say(self, image: Image, line: str) -> None:
        if self.stop.is_set():
            raise Stopped
        with self._lock:
            number = len(self.done) + 1
            self.detail(f"{number} of {len(self.catalogue.images)}, {image.tag}: {line}")

    def _make(self, image: Image) -> dict[str, str]:
        with contextlib.closing(self.node.connect(timeout=SECONDS)) as client:
            found = self._present(client, image) or self._pulled(client, image)
            found = found or self._twin(client, image)
            if found is None:
                found = self._built(client, image)
                say(f"  {image.tag} built")
            for tag in image.tags:
                repository, _, version = tag.rpartition(":")
                client.api.tag(found["id"], repository, version, force=True)
        return found

    def _present(self, client: DockerClient, image: Image) -> dict[str, str] | None:
        """The existing image, if it is the wanted one."""
        try:
            inspected = client.images.get(image.tag).attrs
        except ImageNotFound:
            return None
        labels: Mapping[str, str] = inspected["Config"].get("Labels") or {}
        origin = labels.get(ORIGIN, "")
        if labels.get(RECIPE) != self.digest(image):
            return None
        if origin == BUILT:
            if labels.get(PARENTS, "") != self._parents(image):
                return None
            if self.source.asks and image.upstream:
                return None
        return {"id": inspected["Id"], "origin": origin, "recipe": labels[RECIPE]}

    def _twin(self, client: DockerClient, image: Image) -> dict[str, str] | None:
        """An image of the same recipe, built under another name."""
        labels = {RECIPE: self.digest(image), ORIGIN: BUILT, PARENTS: self._parents(image)}
        chosen = {"label": [f"{key}={value}" for key, value in labels.items()]}
        for found in client.api.images(filters=chosen):
            return {"id": found["Id"], "origin": BUILT, "recipe": labels[RECIPE]}
        return None

    def _parents(self, image: Image) -> str:
        return " ".join(self.done[parent]["id"].split(":")[-1][:16] for parent in image.parents)

    def _pulled(self, client: DockerClient, image: Image) -> dict[str, str] | None:
        if not (self.source.asks and image.upstream):
            return None

        def detail(line: str) -> None:
            self._say(image, line)

        found = pull.fetch(self.source, image.upstream, self.host, client, detail)
        if found is None:
            return None
        reference, digest = found
        labels = {RECIPE: self.digest(image), ORIGIN: f"pulled {digest}"}
        made = self._with_site(client, image, reference, labels)
        client.api.remove_image(reference)
        say(f"  {image.tag} pulled ({digest})")
        return {"id": made, "origin": labels[ORIGIN], "recipe": labels[RECIPE]}

    def _built(self, client: DockerClient, image: Image) -> dict[str, str]:
        labels = {RECIPE: self.digest(image), ORIGIN: BUILT, PARENTS: self._parents(image)}
        files = self.catalogue.recipe(image.recipe)
        if image.bootstrap:
            made = self._bootstrapped(client, image, files, labels)
        else:
            made = context.build(
                client,
                files,
                title=image.tag,
                arguments=dict(image.arguments),
                labels=labels,
                detail=lambda line: self._say(image, line),
            )
        return {"id": made, "origin": BUILT, "recipe": labels[RECIPE]}

    def _bootstrapped(
        self,
        client: DockerClient,
        image: Image,
        files: Mapping[str, bytes],
        labels: Mapping[str, str],
    ) -> str:
        """Debian from packages, with the recipe's and this machine's configuration added."""

        def detail(line: str) -> None:
            self._say(image, line)

        with contextlib.ExitStack() as stack:
            begun = self.debian.get(image.name)
            take = begun or stack.enter_context(_file_system(self.catalogue, image))
            tarball = take(detail)
            detail("handing it to the engine")
            client.api.import_image_from_file(
                str(tarball), repository=bootstrap.NAME, tag=image.bootstrap
            )
        plain = context.build(
            client, files, title=image.tag, arguments={}, labels={}, detail=detail
        )
        return self._with_site(client, image, plain, labels)

    def _with_site(
        self, client: DockerClient, image: Image, base: str, labels: Mapping[str, str]
    ) -> str:
        """`base` with the labels, and with this machine's configuration if it has any."""
        if self.site.is_empty:
            files = {"Dockerfile": b"ARG BASE\nFROM ${BASE}\n"}
            arguments = {"BASE": base}
        else:
            files = self.catalogue.recipe("site")
            files |= {f"files/{name}": content for name, content in self.site.files.items()}
            # COPY wants at least one file.
            files.setdefault("files/usr/local/share/drydock/site", b"")
            arguments = {"BASE": base, **self.site.arguments}
        return context.build(
            client,
            files,
            title=f"{image.tag} with this machine's configuration",
            arguments=arguments,
            labels=labels,
            detail=lambda line: self._say(image, line),
        )


@contextlib.contextmanager
def begin_debian(catalogue: Catalogue) -> Iterator[Mapping[str, bootstrap.Tarball]]:
    """Start to make the Debian that all recipes build on, for `Work.debian`; it is ended with the
    block. Raises NoEngine where mmdebstrap may not be installed."""
    bootstrap.install()
    with contextlib.ExitStack() as stack:
        yield {
            image.name: stack.enter_context(_file_system(catalogue, image))
            for image in catalogue.images
            if image.bootstrap
        }


def _file_system(
    catalogue: Catalogue, image: Image
) -> contextlib.AbstractContextManager[bootstrap.Tarball]:
    settings = {
        name.removeprefix("files/"): content
        for name, content in catalogue.recipe(image.recipe).items()
        if name.startswith(("files/etc/apt/apt.conf.d/", "files/etc/dpkg/"))
    }
    return bootstrap.file_system(str(image.bootstrap), settings)


def _tidy(client: DockerClient, catalogue: Catalogue) -> None:
    """Keep only the catalogue's images in the builder's engine (which no one else uses)."""
    for container in client.api.containers(all=True):
        client.api.remove_container(container["Id"], v=True, force=True)
    wanted = set(catalogue.tags)
    for image in client.api.images():
        for tag in image.get("RepoTags") or []:
            if tag not in wanted and tag != "<none>:<none>":
                client.api.remove_image(tag, force=True, noprune=True)
    client.images.prune({"dangling": True})
