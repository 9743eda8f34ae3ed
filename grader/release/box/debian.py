"""The box's files, as mmdebstrap and `vagrant/box/setup.sh` make them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from grader.engine import packages
from grader.engine.sources import host_package_config
from grader.errors import EngineFault
from grader.release.box.recipe import FOLDER, Recipe, epoch
from grader.release.box.tools import remove, run_alone

MERGED_USR = Path("/usr/share/mmdebstrap/hooks/maybe-merged-usr")
"""Where mmdebstrap has it: without, a package with all of Perl behind it does that work."""
EXCLUDED = (
    *("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*"),
    # What devices are called that no virtual machine has; large, and long in the making.
    *("/lib/udev/hwdb.d/*", "/usr/lib/udev/hwdb.d/*"),
)


def bootstrap_command(
    recipe: Recipe, root: Path, sources: Sequence[str], proxies: Mapping[str, str]
) -> list[str]:
    """mmdebstrap's command line for the box's files."""
    told = {
        "DRYDOCK_KEY": (FOLDER / "vagrant.pub").read_text("utf-8").strip(),
        "DRYDOCK_OFFLINE": " ".join(recipe.offline),
    }
    hooks = [FOLDER / "packages.sh", FOLDER / "setup.sh"]
    return command(recipe.suite, recipe.packages, root, sources, proxies, told, hooks)


def command(
    suite: str,
    wanted: Sequence[str],
    root: Path,
    sources: Sequence[str],
    proxies: Mapping[str, str],
    told: Mapping[str, str],
    hooks: Sequence[Path],
) -> list[str]:
    """mmdebstrap's command line for a virtual machine's files in the folder `root`.

    `hooks` are scripts that are given the folder at the end, with `told` in their environment.
    """
    return [
        # Not from the kit's own environment: sudo would drop it.
        "env",
        *(f"{name}={value}" for name, value in told.items()),
        f"SOURCE_DATE_EPOCH={epoch()}",
        "mmdebstrap",
        "--variant=minbase",
        "--mode=root",
        "--format=directory",
        f"--include={','.join(wanted)}",
        *(f'--aptopt={key} "{value}"' for key, value in proxies.items()),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
        # A disk that a power cut spoils is built again.
        "--dpkgopt=force-unsafe-io",
        *([f"--hook-dir={MERGED_USR}"] if MERGED_USR.is_dir() else []),
        f'--essential-hook={shlex.quote(str(FOLDER / "initrd.sh"))} "$1"',
        *(f'--customize-hook={shlex.quote(str(hook))} "$1"' for hook in hooks),
        suite,
        str(root),
        *sources,
    ]


def make(recipe: Recipe, root: Path, detail: Callable[[str], None]) -> None:
    """The box's files in the folder `root`, which must not be there yet; EngineFault if not."""

    def call(sources: Sequence[str]) -> list[str] | None:
        # They stay in the box, which others may be given.
        if not all(
            host_package_config.reachable_from_container(line.split()[1]) for line in sources
        ):
            return None
        return bootstrap_command(recipe, root, sources, packages.apt_proxies())

    bootstrap(recipe.suite, root, call, detail)


def bootstrap(
    suite: str,
    root: Path,
    call: Callable[[Sequence[str]], list[str] | None],
    detail: Callable[[str], None],
) -> None:
    """Run the command line that `call` gives for sources of the suite, the best ones first, until
    one has made `root`. Sources for which there is none are left out. EngineFault at the end."""
    lines: list[str] = []
    for sources in packages.suite_sources(suite):
        argv = call(sources)
        if argv is None:
            continue
        rc, lines = run_alone(argv, detail)
        if rc == 0:
            return
        remove(root)
    raise EngineFault(
        "mmdebstrap could not make the virtual machine's Debian:\n" + "\n".join(lines[-8:]),
        remedy="Check that `apt-get update` works on this machine, then try again.",
    )
