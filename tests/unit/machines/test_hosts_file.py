"""hosts.yaml: what is read from it, and what is said where it is wrong."""

from pathlib import Path

import pytest

from grader.errors import KitError
from grader.machines import hosts_file

GOOD = """
user: student
key: ~/.ssh/id_lab
hosts:
  manager1: 192.0.2.11
  worker1:
    host: lab-pc-7.example
    address: 10.0.0.12
    user: root
    port: 2222
    key: /keys/other
    host_key: ssh-ed25519 AAAAC3Nz comment
"""


def read(tmp_path: Path, text: str) -> list[hosts_file.Host]:
    file = tmp_path / "hosts.yaml"
    file.write_text(text, "utf-8")
    return hosts_file.read(file)


def test_hosts_take_what_they_do_not_say_from_the_top(tmp_path: Path) -> None:
    first, second = read(tmp_path, GOOD)

    assert (first.name, first.host, first.user, first.port) == (
        "manager1", "192.0.2.11", "student", 22,
    )  # fmt: skip
    assert first.key == str(Path.home() / ".ssh" / "id_lab")
    assert first.address is None
    assert (second.user, second.port, second.key) == ("root", 2222, "/keys/other")
    assert second.resolved() == "10.0.0.12"
    assert second.host_key == "ssh-ed25519 AAAAC3Nz"


@pytest.mark.parametrize(
    ("text", "place", "named"),
    [
        ("", "line 1", "no hosts"),
        ("user: a\nhosts: {}", "line 2, hosts", "no hosts"),
        ("hosts: [a, b]", "line 1", "no hosts"),
        ("hosts:\n  manager1: 192.0.2.1", "line 2, hosts.manager1", "`user`"),
        ("user: a\nhosts: {Manager 1: 192.0.2.1}", "line 2, hosts.Manager 1", "not a valid host"),
        ("user: a\nhosts: {manager1: {address: 10.0.0.1}}", "line 2, hosts.manager1", "`host`"),
        ("user: a\nhosts: {a: {host: h, adress: 10.0.0.1}}", "line 2, hosts.a.adress", "'adress'"),
        ("user: a\nhosts: {a: {host: h, address: there}}", "line 2, hosts.a.address", "'there'"),
        ("user: a\nport: high\nhosts: {manager1: 192.0.2.1}", "line 2, port", "'high'"),
        ("user: a\nhosts:\n one: {host: h, port: 0}", "line 3, hosts.one.port", "port 0"),
        ("user: a\nhosts: {one: {host: h, host_key: x}}", "line 2, hosts.one.host_key", "host_key"),
        ("user: a\npassword: x\nhosts: {manager1: 192.0.2.1}", "line 2, password", "'password'"),
        ("hosts: {manager1: [", "line 1", "not YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_and_line(
    tmp_path: Path, text: str, place: str, named: str
) -> None:
    with pytest.raises(KitError) as caught:
        read(tmp_path, text)

    assert named in caught.value.what
    assert caught.value.where == f"{tmp_path / 'hosts.yaml'}, {place}"


def test_a_missing_list_says_where_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(KitError) as caught:
        hosts_file.read(tmp_path / "none.yaml")

    assert "no list" in caught.value.what
    assert caught.value.remedy


def test_a_name_that_nobody_knows_is_a_sentence(tmp_path: Path) -> None:
    (host,) = read(tmp_path, "user: a\nhosts: {manager1: no-such-host.invalid}")

    with pytest.raises(KitError, match=r"no-such-host\.invalid"):
        host.resolved()
