"""The differential test's oracle sees each of the dangers that its generator hides."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hostile.differential import PLACE, dangers

HARMLESS = {"image": "redis:7", "volumes": [{"type": "bind", "source": f"{PLACE}/1"}]}


def test_what_is_harmless_is_no_danger() -> None:
    build = {"context": f"{PLACE}/0", "dockerfile": f"{PLACE}/Dockerfile"}
    services = {"web": HARMLESS, "db": {"build": build, "cap_add": ["CHOWN"], "scale": 12}}
    volumes = {"kept": {"name": "work_kept"}}
    assert not list(dangers({"services": services, "volumes": volumes}))


@pytest.mark.parametrize(
    "service",
    [
        {"privileged": True},
        {"pid": "host"},
        {"network_mode": "container:x"},
        {"cap_add": ["SYS_ADMIN"]},
        {"devices": [{"source": "/dev/kmsg"}]},
        {"security_opt": ["seccomp=unconfined"]},
        {"volumes": [{"type": "bind", "source": "/run"}]},
        {"volumes": [{"type": "bind", "source": "/drydock/differential/1"}]},
        {"volumes_from": ["container:x"]},
        {"sysctls": {"kernel.msgmax": "1"}},
        {"image": "evil:1"},
        {"scale": 255},
        {"deploy": {"replicas": 1000}},
        {"build": {"context": "/", "dockerfile": f"{PLACE}/Dockerfile"}},
        {"build": {"context": f"{PLACE}/0", "dockerfile": "//etc/passwd"}},
        {"runtime": "evil"},
        {"labels": {"drydock.run": "x"}},
        {"environment": {"root:x:0:0": None}},
    ],
    ids=str,
)
def test_each_danger_is_seen(service: dict[str, Any]) -> None:
    assert list(dangers({"services": {"web": {**HARMLESS, **service}}}))


def test_dangers_beside_the_services_are_seen() -> None:
    services = {"web": HARMLESS}
    assert list(dangers({"services": services, "configs": {"c": {"file": "//etc/passwd"}}}))
    assert list(dangers({"services": services, "volumes": {"v": {"driver_opts": {"o": "bind"}}}}))
