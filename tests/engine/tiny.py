"""A small image made of this machine's own /bin/sleep: for tests that only need a process."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import docker

NAME = "drydock-test/sleep:1"


def image(client: docker.DockerClient) -> str:
    listed = subprocess.run(["ldd", "/bin/sleep"], capture_output=True, text=True, check=True)
    libraries = re.findall(r"(/\S+)", listed.stdout)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in ["/bin/sleep", *libraries]:
            member = tar.gettarinfo(path)
            data = Path(path).read_bytes()
            member.type, member.size, member.name = tarfile.REGTYPE, len(data), path.lstrip("/")
            member.mode = 0o755
            tar.addfile(member, io.BytesIO(data))
    repository, tag = NAME.split(":")
    client.api.import_image_from_data(packed.getvalue(), repository=repository, tag=tag)
    return NAME
