"""What a stack file may contain: less than a compose file (see grader.vetting.model).

`docker stack deploy` ignores some keys that reach into a machine and obeys others, such as bind
mounts; and what lies on one node is not on the others. So of what a compose file may say, only
this is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from grader.vetting import amount, model, mounts, rules
from grader.vetting import model_service as service
from grader.vetting.allowlist import ANY, Forbidden, Form, Place, Spec
from grader.vetting.model_build import LABELS

_NO_USE = "is not used in a stack of this lab."
_NOT_HERE = Forbidden(_NO_USE, "Remove it, or read the worksheet again.")
_SECRETS = Forbidden(_NO_USE, "This lab uses `configs:` and `environment:`.")


def _of(keys: Mapping[str, Spec], allowed: Iterable[str], **others: Spec) -> dict[str, Spec]:
    """The same keys: those allowed, with their rules there, `others`, and all else refused."""
    kept = set(allowed)
    said = {
        name: spec if name in kept or isinstance(spec, Forbidden) else _NOT_HERE
        for name, spec in keys.items()
    }
    return {**said, **others}


def mount(place: Place) -> None:
    """`[VOLUME:]TARGET[:MODE]`: no file or folder of the node."""
    first, colon, _ = place.text().partition(":")
    _volume(place, first if colon else "")


def mount_source(place: Place) -> None:
    """The long form's `source`, likewise."""
    _volume(place, place.text())


def mount_kind(place: Place) -> None:
    """The long form's `type`."""
    if place.text() not in ("", "volume", "tmpfs"):
        _host_files(place)


def _volume(place: Place, source: str) -> None:
    mounts.refuse_socket(place, source)
    # The docker CLI takes one letter before a colon for a drive of Windows.
    if source and not mounts.NAME.fullmatch(source):
        _host_files(place)


def _host_files(place: Place) -> None:
    place.refuse(
        "A file or folder of the host is mounted into a container.",
        "On another node that path has other content. Use `configs:` for configuration files and "
        "a named volume for data.",
    )


def whole_mount(place: Place) -> None:
    """What counts is said of the mount as a whole, where it is written on one line."""
    if isinstance(place.value, dict):
        mounts.refuse_socket(place, str(place.value.get("source", "")))
        for key, rule in (("type", mount_kind), ("source", mount_source)):
            if key in place.value:
                rule(Place(place.file, place.setting, place.keys, place.value[key]))
        if "bind" in place.value:
            _host_files(place)


def config(place: Place) -> None:
    """Each config has a file: its content is not in the stack file."""
    if isinstance(place.value, dict) and not place.value.get("file"):
        place.refuse(f"The config `{place.keys[-1]}` has no file.", "Write `file: ./NAME`.")


MOUNT = _of(
    service.MOUNT,
    ("target", "read_only", "tmpfs"),
    type=ANY,  # all three are looked at by `whole_mount`
    source=ANY,
    bind=ANY,
    volume=Form(keys={"nocopy": ANY, "labels": LABELS}),
)

SERVICE = _of(
    service.SERVICE,
    (
        "image", "command", "entrypoint", "environment", "deploy", "ports", "expose", "networks",
        "configs", "tmpfs", "healthcheck", "stop_signal", "stop_grace_period", "labels",
        "hostname", "init", "user", "working_dir", "read_only", "tty", "stdin_open", "depends_on",
        "restart", "container_name", "cap_drop", "ulimits", "logging", "extra_hosts", "dns",
        "dns_search", "links", "develop",
    ),
    volumes=Form(item=Form(text=mount, keys=MOUNT, rule=whole_mount)),
    build=Forbidden(
        "does not work in a stack, which builds nothing.",
        "Name an image of the lab with `image:`.",
    ),
    env_file=Forbidden(_NO_USE, "Write the variables under `environment:`."),
    secrets=_SECRETS,
    network_mode=Forbidden(
        "does not work in a stack.", "List the networks under `networks:`."
    ),
)  # fmt: skip
"""Keys of a service. Swarm ignores some of them, and says so."""

NETWORK = _of(
    model.NETWORK,
    ("name", "attachable", "internal", "labels", "external"),
    driver=rules.one_of(
        "overlay",
        what="The network has the driver `{}`.",
        remedy="Services on several nodes need a network with `driver: overlay`.",
    ),
)

TOP = _of(
    model.TOP,
    ("version", "name"),
    services=Form(names=Form(keys=SERVICE), rule=amount.few_services),
    networks=Form(names=Form(keys=NETWORK)),
    volumes=Form(names=Form(keys=_of(model.VOLUME, ("name", "driver", "labels", "external")))),
    configs=Form(
        names=Form(keys=_of(model.CONFIG, ("name", "file", "labels", "external")), rule=config)
    ),
    secrets=Forbidden(
        "is not used in a stack of this lab.", "This lab uses `configs:` and `environment:`."
    ),
)

MODEL = Form(keys=TOP)
