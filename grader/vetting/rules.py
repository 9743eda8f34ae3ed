"""Rules about single values of a compose file: small functions of a place (see allowlist).

A rule refuses, or says nothing. Each has a test of its own in tests/unit/vetting/test_rules.py.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Collection

from grader.vetting.allowlist import Place, Rule
from grader.vetting.environment import ENVIRONMENT
from grader.vetting.variables import fill_in

MAX_REPLICAS = 12

RESERVED = ("com.docker.", "drydock.")
OFF = ("false", "no", "off", "n", "f", "0", "")

CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
        "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    }
)  # fmt: skip
"""What every container has anyway; naming them is good style after `cap_drop: [ALL]`."""

DOCKERS_NETWORKS = ("host", "none", "bridge", "ingress", "docker_gwbridge", "default")


def off(what: str, remedy: str = "Leave it out.") -> Rule:
    """Only `false`, which is what is without the key as well."""

    def rule(place: Place) -> None:
        if isinstance(place.value, (dict, list)) or place.text().lower() not in OFF:
            place.refuse(what, remedy)

    return rule


def one_of(*allowed: str, what: str, remedy: str) -> Rule:
    """Only these values, in any case."""

    def rule(place: Place) -> None:
        if place.text().lower() not in ("", *allowed):
            place.refuse(what.format(place.text()), remedy)

    return rule


def matches(pattern: str, what: str, remedy: str) -> Rule:
    """Only values that the pattern describes as a whole."""

    def rule(place: Place) -> None:
        if not re.fullmatch(pattern, place.text(), re.IGNORECASE):
            place.refuse(what.format(place.text()), remedy)

    return rule


def namespace(word: str, *allowed: str) -> Rule:
    """A namespace of its own, or that of a service of this file; never the machine's."""

    def rule(place: Place) -> None:
        said = place.text()
        kind, _, name = said.partition(":")
        if said in ("", *allowed):
            return
        if kind == "service":
            _own_service(place, name)
        else:
            place.refuse(
                f"`{said}` gives the container a {word} that is not its own.",
                "Leave it out: a container of this lab needs only its own.",
            )

    return rule


def _own_service(place: Place, name: str) -> None:
    if name not in place.setting.names.get("services", ()):
        place.refuse(f"There is no service `{name}` in this file.", "Name one of its services.")


def volumes_from(place: Place) -> None:
    """Volumes of services of this file, whose own mounts are looked at."""
    said = place.text()
    if said.startswith("container:"):
        place.refuse(
            "Volumes of a container outside this file are mounted.",
            "Give both services the same named volume.",
        )
    _own_service(place, said.partition(":")[0])


def own_variable(place: Place) -> None:
    """The name of a variable that `.env` sets: not one of the machine on which it runs."""
    name = place.text()
    variables = place.setting.variables
    if variables is None or name not in variables.own:
        place.refuse(
            f"The variable `{name}` is not set in `.env`.",
            f"Write `{name}=…` into `.env` beside the compose file, or give a `file:`.",
        )


def network_name(place: Place) -> None:
    """A network of the file's own, not one that Docker has already."""
    if place.text() in DOCKERS_NETWORKS:
        place.refuse(
            f"`{place.text()}` is one of Docker's own networks.", "Give the network another name."
        )


def network_options(place: Place) -> None:
    """Only options of Docker's own drivers."""
    for key in _names(place):
        if not key.startswith("com.docker.network."):
            place.refuse(f"`{key}` is not an option of Docker's own networks.", "Leave it out.")


def capability(place: Place) -> None:
    """Only what every container has anyway."""
    name = place.text().upper().removeprefix("CAP_")
    if name not in CAPABILITIES:
        place.refuse(
            f"The capability `{name}` gives more than Docker's default.",
            "Leave it out: nothing in this lab needs it.",
        )


def security_option(place: Place) -> None:
    """Only `no-new-privileges`, which takes rights away."""
    if not re.fullmatch(r"no-new-privileges([:=](true|false))?", place.text()):
        place.refuse(
            f"`{place.text()}` weakens the isolation of containers.",
            "Leave it out: only `no-new-privileges:true` is taken.",
        )


def log_driver(place: Place) -> None:
    """Only logs that stay with the engine, where they can be read."""
    if place.text() not in ("", "json-file", "local", "none"):
        place.refuse(
            f"The logging driver `{place.text()}` sends the service's log to another place.",
            "Leave `driver:` out, or use json-file or local.",
        )


def sysctls(place: Place) -> None:
    """Only those of the container's own network."""
    for key in _names(place):
        if not re.fullmatch(r"net\.[a-z0-9_.]+", key):
            place.refuse(
                f"`{key}` is a setting of the machine's kernel.",
                "Leave it out: only settings that begin with `net.` are the container's own.",
            )


def labels(place: Place) -> None:
    """Any but those by which Docker and the grader know their own."""
    for key in _names(place):
        if key.lower().startswith(RESERVED):
            place.refuse(
                f"The label `{key}` is Docker's or the grader's own.",
                "Choose a name with another beginning.",
            )


def build_arguments(place: Place) -> None:
    """Any but those that choose what reads the Dockerfile."""
    for key in _names(place):
        if key.upper().startswith("BUILDKIT_") and key != "BUILDKIT_INLINE_CACHE":
            place.refuse(f"The argument `{key}` changes how Dockerfiles are read.", "Leave it out.")


def addresses(place: Place) -> None:
    """No link-local addresses, at which clouds tell machines their secrets."""
    value = place.value
    texts = list(value.values()) if isinstance(value, dict) else value
    for text in texts if isinstance(texts, list) else [texts]:
        for each in text if isinstance(text, list) else [text]:
            said = place.filled(str(each))
            for part in (said, *re.split(r"[=:]", said, maxsplit=1)[1:]):
                if _link_local(part.strip("[] ")):
                    place.refuse(
                        f"`{said}` is an address where clouds give machines their secrets.",
                        "Leave it out: services find each other by their names.",
                    )


def _link_local(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_link_local or str(address) == "fd00:ec2::254"


def replicas(place: Place) -> None:
    """Not more than the lab's nodes bear."""
    said = place.plain()
    # Where a submission sets no variables, it is their defaults that count.
    said = fill_in(said, ENVIRONMENT) if place.setting.variables is None else place.filled(said)
    number = count(said or "1")
    if number is not None and number > MAX_REPLICAS:
        place.refuse(
            f"{said} replicas are more than this lab's nodes can run.",
            "The worksheet gives the number.",
        )
    # Compose 2.26 breaks at one, with the stack of a Go program.
    if number is not None and number < 0:
        place.refuse(f"{said} replicas must be 0 or more.", "The worksheet gives the number.")


def count(text: str) -> int | None:
    """A number in every spelling that Compose, Swarm or YAML takes for one; the largest reading.

    >>> count("0o377"), count("1_000"), count("010"), count("1e3"), count("many")
    (255, 1000, 10, 1000, None)
    """
    plain = text.strip().replace("_", "")[:64]
    readings: list[int] = []
    for base in (0, 8, 10):
        with contextlib.suppress(ValueError):
            readings.append(int(plain, base))
    with contextlib.suppress(ValueError, OverflowError):
        readings.append(int(float(plain)))
    return max(readings, default=None)


def _names(place: Place) -> Collection[str]:
    """The names in `{NAME: value}` or `[NAME=value]`."""
    if isinstance(place.value, dict):
        return [str(key).strip() for key in place.value]
    items = place.value if isinstance(place.value, list) else [place.value]
    said = [place.at(number, item).text() for number, item in enumerate(items)]
    return [text.partition("=")[0].strip() for text in said]
