"""Makes a Debian from the distribution's packages, without a registry."""

from __future__ import annotations

import contextlib
import shlex
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from pathlib import Path

from grader import paths
from grader.engine import packages
from grader.engine.sources import host_package_config
from grader.errors import EngineFault, Stopped

NAME = "drydock/bootstrap"
PACKAGES = ("debian-archive-keyring", "mmdebstrap")
"""What the kit installs to make a Debian."""

# As in Debian's "slim" images; dpkg's own settings (in the recipe) go on with it.
SLIM = (
    'cd "$1" && rm -f etc/apt/apt.conf.d/99mmdebstrap etc/dpkg/dpkg.cfg.d/99mmdebstrap'
    " && cd usr/share && find doc -mindepth 2 ! -name copyright ! -type d -delete"
    " && rm -rf info lintian locale/* man/*"
)

Detail = Callable[[str], None]
Tarball = Callable[[Detail], Path]


def possible() -> bool:
    """Whether this machine can make a Debian from packages, now or after an installation."""
    return packages.program("mmdebstrap") is not None or packages.can_install()


def install() -> None:
    """Install mmdebstrap if it is missing. Raises NoEngine where that is not allowed."""
    if packages.program("mmdebstrap") is None:
        packages.apt_install(PACKAGES, "to make Debian images")


def make(
    suite: str,
    options: Sequence[str],
    tarball: Path,
    detail: Detail,
    *,
    what: str,
    usable: Callable[[str], bool] = lambda _url: True,
    stop: threading.Event | None = None,
) -> None:
    """Write a minimal Debian of `suite`; `usable` says from which servers (URLs).

    Raises EngineFault (about `what`) where mmdebstrap fails, Stopped after `stop` was set.
    """
    lines: list[str] = []
    argv = ["mmdebstrap", "--variant=minbase", *options]
    argv += [f'--aptopt={key} "{value}"' for key, value in packages.apt_proxies().items()]
    for sources in packages.suite_sources(suite):
        if not all(usable(line.split()[1]) for line in sources):
            continue
        call = [*argv, suite, str(tarball), *sources]
        # Without root mmdebstrap makes a user namespace of its own, if it may.
        call = packages.as_root(call) if packages.may_be_root() else call
        # It then removes its temporary folder.
        rc, lines = packages.run_lines(call, detail, stop)
        if stop is not None and stop.is_set():
            raise Stopped
        if rc == 0:
            return
    raise EngineFault(
        f"mmdebstrap could not make {what}:\n" + "\n".join(lines[-8:]),
        remedy="Check that `apt-get update` works on this machine, then try again.",
    )


@contextlib.contextmanager
def file_system(suite: str, files: Mapping[str, bytes]) -> Iterator[Tarball]:
    """Start to make a minimal Debian of `suite`, in a thread; yields a function that waits for
    the tarball. `files` {path under etc/apt or etc/dpkg: content} are in place before the first
    package is.

    That function raises EngineFault where mmdebstrap fails. The tarball exists until the block
    ends; a run that is not done by then is ended.
    """
    home = paths.data_dir()
    home.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    latest = [""]
    with tempfile.TemporaryDirectory(dir=home, prefix="debian-") as folder:
        configuration = Path(folder) / "files"
        for name, content in files.items():
            path = configuration / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        tarball = Path(folder) / "debian.tar"
        options = [f"--setup-hook=copy-in {shlex.quote(str(configuration / 'etc'))} /"]
        options += [f"--customize-hook={SLIM}"]
        with ThreadPoolExecutor(1) as pool:
            made = pool.submit(
                make,
                suite,
                options,
                tarball,
                lambda line: latest.__setitem__(0, line),
                what="the image set's Debian",
                # They stay in the image, where builds fetch packages from them.
                usable=host_package_config.reachable_from_container,
                stop=stop,
            )

            def take(detail: Detail) -> Path:
                while True:
                    with contextlib.suppress(TimeoutError):
                        made.result(timeout=0.5)
                        return tarball
                    detail(latest[0])

            try:
                yield take
            finally:
                stop.set()
