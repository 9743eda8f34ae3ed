"""Makes a Debian from the distribution's packages, without a registry."""

from __future__ import annotations

import contextlib
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from grader import paths
from grader.engine import packages
from grader.engine.sources import host_package_config
from grader.errors import EngineFault

NAME = "drydock/bootstrap"

# As in Debian's "slim" images; dpkg's own settings (in the recipe) go on with it.
SLIM = (
    'cd "$1" && rm -f etc/apt/apt.conf.d/99mmdebstrap etc/dpkg/dpkg.cfg.d/99mmdebstrap'
    " && cd usr/share && find doc -mindepth 2 ! -name copyright ! -type d -delete"
    " && rm -rf info lintian locale/* man/*"
)


def possible() -> bool:
    """Whether this machine can make a Debian from packages, now or after an installation."""
    return packages.program("mmdebstrap") is not None or packages.can_install()


@contextlib.contextmanager
def file_system(
    suite: str, files: Mapping[str, bytes], detail: Callable[[str], None]
) -> Iterator[Path]:
    """A tarball with a minimal Debian of `suite`; `files` {path under etc/apt or etc/dpkg: content}
    are in place before the first package is.

    Raises EngineFault where mmdebstrap fails, NoEngine where it may not be installed.
    """
    if packages.program("mmdebstrap") is None:
        packages.apt_install(["mmdebstrap"], "to make the image set's Debian")
    home = paths.data_dir()
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix="debian-") as folder:
        configuration = Path(folder) / "files"
        for name, content in files.items():
            path = configuration / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        tarball = Path(folder) / "debian.tar"
        argv = ["mmdebstrap", "--variant=minbase"]
        argv += [f'--aptopt={key} "{value}"' for key, value in packages.apt_proxies().items()]
        argv += [f"--setup-hook=copy-in {shlex.quote(str(configuration / 'etc'))} /"]
        argv += [f"--customize-hook={SLIM}"]
        for sources in packages.suite_sources(suite):
            # They stay in the image, where builds fetch packages from them.
            if not all(
                host_package_config.reachable_from_container(line.split()[1]) for line in sources
            ):
                continue
            call = [*argv, suite, str(tarball), *sources]
            # Without root mmdebstrap makes a user namespace of its own, if it may.
            rc, lines = packages.run_lines(
                packages.as_root(call) if packages.may_be_root() else call, detail
            )
            if rc == 0:
                yield tarball
                return
        raise EngineFault(
            "mmdebstrap could not make the image set's Debian:\n" + "\n".join(lines[-8:]),
            remedy="Check that `apt-get update` works on this machine, then try again.",
        )
