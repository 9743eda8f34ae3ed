"""Each rule of the allow-list: what it takes, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grader.vetting import amount, model_stack, mounts, rules
from grader.vetting.allowlist import Forbidden, Form, Place, Rule, Setting, Spec, check
from grader.vetting.variables import Variables
from grader.vetting.yamlfile import Refused, YamlFile

VARIABLES = Variables(
    {"HERE": "./site", "HOME": "/root", "PWD": "."}, frozenset({"ODD"}), frozenset({"HERE", "ODD"})
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.conf").write_text("port 80\n", encoding="utf-8")
    (tmp_path / "compose.yaml").write_text("services:\n", encoding="utf-8")
    return tmp_path


def place(folder: Path, value: Any, variables: Variables | None = VARIABLES) -> Place:
    setting = Setting(folder, variables, {"services": frozenset({"web"})})
    file = YamlFile.read(folder / "compose.yaml", "work/compose.yaml")
    return Place(file, setting, ("services", "web", "key"), value)


def takes(rule: Rule, folder: Path, *values: Any) -> None:
    for value in values:
        check(place(folder, value), rule)


def refuses(rule: Rule, folder: Path, *values: Any) -> None:
    for value in values:
        with pytest.raises(Refused) as caught:
            check(place(folder, value), rule)
        assert str(caught.value.where).startswith("work/compose.yaml, line 1")
        assert caught.value.remedy


def test_off_takes_every_no_and_no_yes(folder: Path) -> None:
    rule = rules.off("It is on.")
    takes(rule, folder, False, "false", "No", "off", "0", 0, "", None)
    refuses(rule, folder, True, "true", "yes", "on", 1, "maybe", "$HERE", [], {"name": "x"})


def test_one_of_takes_what_is_listed(folder: Path) -> None:
    rule = rules.one_of("a", "b", what="`{}` is not it.", remedy="Say a.")
    takes(rule, folder, "a", "B", "")
    refuses(rule, folder, "c", ["a"], "${ODD}")
    with pytest.raises(Refused, match="`c` is not it"):
        rule(place(folder, "c"))


def test_matches_takes_what_fits_as_a_whole(folder: Path) -> None:
    rule = rules.matches("linux/[a-z0-9]+", "`{}` does not fit.", "Leave it out.")
    takes(rule, folder, "linux/amd64", "Linux/arm64")
    refuses(rule, folder, "windows/amd64", "linux/", "x linux/amd64", "linux/amd64\nwindows")


def test_a_namespace_is_ones_own_or_a_siblings(folder: Path) -> None:
    rule = rules.namespace("network", "none")
    takes(rule, folder, "none", "service:web", "", None)
    refuses(rule, folder, "host", "container:web", "service:other", "service:", "bridge", "Host")


def test_volumes_come_from_siblings(folder: Path) -> None:
    takes(rules.volumes_from, folder, "web", "web:ro")
    refuses(rules.volumes_from, folder, "container:web", "other", "other:ro")


def test_paths_stay_inside(folder: Path) -> None:
    takes(mounts.path_inside, folder, ".", "./", "a/b", "./a/../b", "$HERE", "${PWD}/x", "new.env")
    refuses(
        mounts.path_inside,
        folder,
        *("/", "..", "a/../..", "~/x", "~root", "C:\\x", "..\\x", "https://x/y", "git@x:y", "a\0b"),
        *("${HOME}", "${X:-/etc}", "$ODD/x", "${A:-${B}}", "$1", {"a": 1}),
    )


def test_files_are_there_and_inside(folder: Path) -> None:
    takes(mounts.file_inside, folder, "app.conf", "./app.conf")
    refuses(mounts.file_inside, folder, "other.conf", ".", "/etc/passwd")


def test_short_mounts_name_a_volume_or_a_path_inside(folder: Path) -> None:
    takes(
        mounts.short_mount,
        folder,
        *("data:/data", "./site:/s:ro", ".:/c", "/nameless", "data:/d:nocopy", "./a:/a:ro,Z"),
        *("./a:/a:cached", "$PWD/a:/a"),
    )
    refuses(
        mounts.short_mount,
        folder,
        *("/etc:/x", "../x:/x", "~/x:/x", "d:/x", "C:\\x:/x", "./a:/a:shared", "./a:/a:ro,rslave"),
        *("/run/docker.sock:/x", "./docker.sock:/x", "${HOME}:/x", ["a"]),
    )


def test_sources_of_long_mounts_likewise(folder: Path) -> None:
    takes(mounts.mount_source, folder, "data", "./site", ".", "a/b")
    refuses(mounts.mount_source, folder, "/etc", "..", "/var/run/docker.sock", "d")


def test_options_of_a_volume_are_for_memory_only(folder: Path) -> None:
    memory = {"type": "tmpfs", "device": "tmpfs"}
    takes(mounts.tmpfs_only, folder, {}, memory, {**memory, "o": "size=10m,uid=1000,noexec"})
    refuses(
        mounts.tmpfs_only,
        folder,
        {"type": "none", "o": "bind", "device": "/etc"},
        {"type": "none", "o": "bind", "device": "./data"},
        {"type": "nfs", "o": "addr=10.0.0.1", "device": ":/x"},
        {**memory, "o": "bind"},
        {**memory, "o": "size=1m,bind"},
        {**memory, "mountpoint": "/"},
        {"type": "tmpfs", "device": "/dev/sda"},
        {"o": "size=1m"},
        {"type": "${T:-none}", "device": "tmpfs"},
    )


def test_a_secrets_variable_is_set_in_dotenv(folder: Path) -> None:
    takes(rules.own_variable, folder, "HERE", "ODD")
    refuses(rules.own_variable, folder, "HOME", "PATH", "PWD", "")


def test_networks_of_docker_are_not_ones_own(folder: Path) -> None:
    takes(rules.network_name, folder, "counter_net", "hosts")
    refuses(rules.network_name, folder, "host", "none", "bridge", "ingress", "${N:-host}")


def test_options_of_networks_are_dockers(folder: Path) -> None:
    takes(rules.network_options, folder, {"com.docker.network.driver.mtu": 1400}, {})
    refuses(rules.network_options, folder, {"parent": "eth0"})


def test_a_volumes_name_is_no_path(folder: Path) -> None:
    takes(mounts.volume_name, folder, "my-data_1.x")
    refuses(mounts.volume_name, folder, "/etc", "../x", "a/b", "a", "$HOME")


def test_capabilities_are_those_that_containers_have(folder: Path) -> None:
    takes(rules.capability, folder, "CHOWN", "CAP_SETUID", "net_bind_service")
    refuses(rules.capability, folder, "ALL", "SYS_ADMIN", "cap_net_admin", "")


def test_security_options_take_rights_away(folder: Path) -> None:
    takes(rules.security_option, folder, "no-new-privileges", "no-new-privileges:true")
    refuses(rules.security_option, folder, "seccomp:unconfined", "apparmor=unconfined", "label:x")


def test_logs_stay_with_the_engine(folder: Path) -> None:
    takes(rules.log_driver, folder, "json-file", "local", "none", "")
    refuses(rules.log_driver, folder, "syslog", "fluentd", "JSON-FILE")


def test_sysctls_are_of_the_containers_network(folder: Path) -> None:
    takes(rules.sysctls, folder, {"net.core.somaxconn": 1}, ["net.ipv4.ip_forward=0"])
    refuses(rules.sysctls, folder, {"kernel.shmmax": 1}, ["vm.x=1"], {"net/x": 1}, {"NET.x": 1})


def test_labels_are_ones_own(folder: Path) -> None:
    takes(rules.labels, folder, {"a.b": 1}, ["com.example=x"])
    refuses(rules.labels, folder, {"com.docker.compose.project": 1}, ["drydock.role=probe"])
    refuses(rules.labels, folder, ["${L:-com.docker.x}=1"], {"Com.Docker.x": 1})


def test_build_arguments_do_not_choose_the_language(folder: Path) -> None:
    takes(rules.build_arguments, folder, {"VERSION": 1}, ["A=b", "C"], ["BUILDKIT_INLINE_CACHE=1"])
    refuses(rules.build_arguments, folder, {"BUILDKIT_SYNTAX": "x"}, ["buildkit_syntax=x"])


def test_addresses_are_not_those_of_clouds(folder: Path) -> None:
    takes(rules.addresses, folder, ["a:10.0.0.1", "b=::1"], {"c": "host-gateway"}, "8.8.8.8")
    refuses(
        rules.addresses,
        folder,
        ["a:169.254.169.254"],
        {"a": ["10.0.0.1", "169.254.0.1"]},
        "169.254.169.253",
        ["a=[fe80::1]"],
        ["a:fd00:ec2::254"],
        ["a:${X:-169.254.169.254}"],
    )


def test_replicas_are_few(folder: Path) -> None:
    takes(rules.replicas, folder, 1, "12", 0, None, "many")
    refuses(rules.replicas, folder, 13, "500", "${N:-500}", 5e3, "5e3", "0${N:-500}", -1, "-0x2")
    with pytest.raises(Refused):
        rules.replicas(place(folder, "${N:-500}", None))


def test_a_stacks_mounts_are_volumes(folder: Path) -> None:
    takes(model_stack.mount, folder, "data:/x", "/x", "data:/x:ro")
    refuses(model_stack.mount, folder, "./x:/x", "/etc:/x", "d:/x", "/run/docker.sock:/x")
    takes(model_stack.mount_kind, folder, "volume", "tmpfs")
    refuses(model_stack.mount_kind, folder, "bind", "npipe", "cluster")
    with pytest.raises(Refused, match="variable"):
        model_stack.mount(place(folder, "$HERE:/x", None))


# The walk -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said", "remedy"),
    [
        ({"imag": 1}, "no key `imag`", "Did you mean `image`?"),
        ({"Image": 1}, "no key `Image`", "Did you mean `image`?"),
        ({"xyz": 1}, "no key `xyz`", "spelling"),
        ({"gone": 1}, "no key `gone`", "It belongs over there"),
        ({"bad": 1}, "`bad` is bad.", "Leave it."),
        ({"bad": None}, "`bad` is bad.", "Leave it."),
        ({1: 2}, "`1` is read as another type (such as a number)", "quotes"),
        ({None: 2}, "`None` is read as", "quotes"),
        (["x"], "written as a list", "a mapping"),
        ("x", "written as one value", "a mapping"),
        ({"list": {"a": 1}}, "`list` is written as a mapping", "a list"),
        ({"list": [["a"]]}, "`list` is written as a list", "one value"),
    ],
)
def test_what_the_list_does_not_have_is_refused(
    folder: Path, value: Any, said: str, remedy: str
) -> None:
    text = Form(text=rules.replicas)
    bad = Forbidden("is bad.", "Leave it.")
    keys: dict[str, Spec] = {"image": text, "list": Form(item=text), "bad": bad}
    start = place(folder, value)
    setting = Setting(folder, VARIABLES, elsewhere={"gone": "over there"})
    with pytest.raises(Refused) as caught:
        check(Place(start.file, setting, start.keys, value), Form(keys=keys))
    assert said in caught.value.what
    assert remedy in str(caught.value.remedy)


def test_extensions_and_empty_values_say_nothing(folder: Path) -> None:
    spec = Form(keys={"image": rules.off("It is on.")})
    for value in (None, {}, {"image": None}, {"x-note": {"image": True}}):
        check(place(folder, value), spec)


def test_a_file_asks_for_few_services_and_ports(folder: Path) -> None:
    web = {"image": "nginx:1.22", "ports": ["8000-8029:80", {"published": "9000-9029"}]}
    takes(amount.few_services, folder, {"web": web, "db": {"image": "x"}, "odd": None})
    refuses(
        amount.few_services,
        folder,
        {f"s{number}": {"image": "x"} for number in range(31)},
        {"web": {"ports": ["1-65535:1-65535"]}},
        {"web": {"ports": [f"{port}:80" for port in range(8000, 8061)]}},
        {"web": web, "api": {"ports": [8080]}},
        {"web": {"ports": [{"target": 80, "published": "65535-1"}]}},
    )
