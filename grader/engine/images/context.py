"""Build one image from files, over an engine's API."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping

from docker import DockerClient
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from grader.errors import EngineFault


def build(
    client: DockerClient,
    files: Mapping[str, bytes],
    *,
    title: str,
    arguments: Mapping[str, str],
    labels: Mapping[str, str],
    detail: Callable[[str], None],
) -> str:
    """Build a context with the engine's classic builder; return the new image's ID.

    The classic builder needs only the API and builds on the set's own images without asking a
    registry. Its cache is the images themselves, so nothing is built twice. Raises EngineFault with
    the end of the output.
    """
    lines: list[str] = []
    found = ""
    try:
        for event in client.api.build(
            fileobj=_pack(files),
            custom_context=True,
            buildargs=dict(arguments),
            labels=dict(labels),
            pull=False,
            rm=True,
            forcerm=True,
            decode=True,
        ):
            if "error" in event:
                end = "\n".join(lines[-12:])
                raise EngineFault(f"{title} could not be built: {event['error']}\n{end}")
            found = event.get("aux", {}).get("ID", found)
            for line in event.get("stream", "").splitlines():
                if line.strip():
                    lines.append(line.strip())
                    # "---> Running in …" says less than the step, which is the line before.
                    if not lines[-1].startswith("--->"):
                        detail(lines[-1])
    except APIError as error:
        raise EngineFault(f"{title} could not be built: {error.explanation}") from None
    except (DockerException, RequestException) as error:
        raise EngineFault(f"{title} could not be built: {error}") from None
    if not found:
        raise EngineFault(f"{title} was built, but the engine does not say where it is.")
    return found


def _pack(files: Mapping[str, bytes]) -> io.BytesIO:
    """The context as a tar. Modes and times are the same everywhere, so that caches hit."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            # A checkout on Windows knows no execute bit.
            member.mode = 0o755 if content.startswith((b"#!", b"\x7fELF")) else 0o644
            tar.addfile(member, io.BytesIO(content))
    packed.seek(0)
    return packed
