"""What the mirror stands for follows from apt's and pip's settings, however odd they are."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from grader.engine import packages
from grader.engine.mirror import config, links, origins, status
from grader.engine.mirror.origins import Origin, Origins, Public, Unusable
from grader.modules.explain import Explainer, not_fetched, unreachable

DEB = "http://deb.dist.test/debian"
SECURITY = "http://deb.dist.test/debian-security"
PUBLIC = Public(
    DEB,
    (SECURITY, "http://security.dist.test/debian-security"),
    "https://index.pip.test/simple",
    "https://files.pip.test",
)
BUNDLE = "/etc/drydock/ca-bundle.crt"


def planned(
    debian: str | None = DEB,
    security: str | None = SECURITY,
    apt: Mapping[str, str] | None = None,
    pip: Mapping[str, str] | None = None,
    linked: Mapping[str, set[str]] | None = None,
    public: Public = PUBLIC,
) -> Origins:
    known = {public.index: {public.files}, **(linked or {})}
    return origins.plan(
        debian, security, apt or {}, pip or {}, lambda url: known.get(url, set()), public
    )


def found(plan: Origins, kind: str, name: str) -> Origin:
    (one,) = [o for o in plan.served if (o.kind, o.name) == (kind, name)]
    return one


def served(text: str, name: str, port: int = 80) -> str:
    """The server block of nginx.conf for a name and port."""
    blocks = re.split(r"(?m)^    server \{\n", text)
    (one,) = [b for b in blocks if f"server_name {name};" in b and f"listen {port};" in b]
    return one


def wanted(text: str, name: str, path: str, port: int = 80) -> str | None:
    """The location of nginx.conf that answers for a path, None if it is refused."""
    for match in re.finditer(
        r'location ~ "([^\n]*)" \{\n(.*?)\n        \}', served(text, name, port), re.S
    ):
        if re.search(match.group(1), path):
            return match.group(2)
    return None


def test_without_any_settings_it_stands_for_the_public_servers() -> None:
    plan = planned(None, None)
    assert plan.names == [
        "deb.dist.test",
        "files.pip.test",
        "index.pip.test",
        "security.dist.test",
    ]
    assert found(plan, "index", "index.pip.test").upstream == "https://index.pip.test/simple"
    assert plan.pip is not None
    assert plan.pip["PIP_INDEX_URL"] == "http://index.pip.test/simple/"
    assert plan.pip["PIP_TRUSTED_HOST"] == "index.pip.test files.pip.test"
    assert "PIP_EXTRA_INDEX_URL" not in plan.pip


def test_public_servers_are_what_pip_and_the_distribution_have_built_in() -> None:
    index, files = packages.pip_defaults()
    said = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--help"], capture_output=True, text=True
    )
    assert f"(default {index})" in " ".join(said.stdout.split())
    assert files.startswith("https://")


@pytest.mark.parametrize(
    ("release", "domain"),
    [
        ('ID=debian\nHOME_URL="https://www.dist.test/"\n', "dist.test"),
        ('ID=other\nHOME_URL="https://www.dist.test/"\n', None),
        ("ID=debian\n", None),
    ],
)
def test_a_debian_says_where_debian_is_at_home(
    tmp_path: Path, release: str, domain: str | None
) -> None:
    file = tmp_path / "os-release"
    file.write_text(release, encoding="utf-8")
    assert packages.debian_domain(file) == domain


def test_where_nothing_says_who_has_packages_the_mirror_cannot_be_used() -> None:
    with pytest.raises(Unusable, match="nothing here says"):
        planned(None, None, public=Public(index="https://index.pip.test/simple"))


def test_debians_own_name_leads_to_this_machines_mirror() -> None:
    plan = planned("http://mirror.test:8080/pub/debian/", None)
    assert found(plan, "debian", "mirror.test").port == 8080
    own = [o for o in plan.served if (o.name, o.path) == ("deb.dist.test", "/debian")]
    assert [o.upstream for o in own] == ["http://mirror.test:8080/pub/debian"]
    text = config.nginx(plan, BUNDLE)
    asked = wanted(text, "deb.dist.test", "/debian/pool/main/s/sl/sl_5.02-1+b1_amd64.deb")
    assert asked is not None
    assert "set $dd_url http://mirror.test:8080/pub/debian$1;" in asked
    assert wanted(text, "mirror.test", "/pub/debian/dists/bookworm/InRelease", 8080) is not None


def test_an_encrypted_debian_mirror_is_passed_through_and_fetched_from() -> None:
    plan = planned("https://mirror.test/debian", "https://mirror.test/debian-security")
    assert plan.encrypted == ("mirror.test:443",)
    assert "mirror.test" in plan.names
    text = config.nginx(plan, BUNDLE)
    assert "mirror.test mirror.test:443;" in text
    assert "default 127.0.0.1:9;" in text
    asked = wanted(text, "deb.dist.test", "/debian/dists/bookworm/InRelease")
    assert asked is not None
    assert "https://mirror.test/debian$1" in asked


@pytest.mark.parametrize("mirror", ["file:/srv/debian", "copy:/srv/debian", "http://localhost/x"])
def test_a_mirror_on_this_machine_itself_is_not_one_for_sandboxes(mirror: str) -> None:
    plan = planned(mirror, None)
    assert {o.upstream for o in plan.served if o.path == "/debian"} == {DEB}


def test_apts_proxy_is_asked_and_answered_for() -> None:
    plan = planned(apt={"Acquire::http::Proxy": "http://proxy.test:3142/"})
    assert ("proxy.test", 3142) in plan.proxies
    assert "proxy.test" in plan.names
    text = config.nginx(plan, BUNDLE)
    for port in (80, 3142):
        asked = wanted(text, "deb.dist.test", "/debian/dists/bookworm/InRelease", port)
        assert asked is not None
        assert "set $dd_parent http://proxy.test:3142;" in asked
        assert "proxy_pass $dd_parent;" in asked
    # pip's index is reached over TLS, which apt's proxy has no part in.
    asked = wanted(text, "index.pip.test", "/simple/six/")
    assert asked is not None
    assert "$dd_parent" not in asked


def test_an_index_with_path_port_and_password_keeps_the_password_to_itself() -> None:
    url = "https://tutor:s%40cret@index.test:8443/api/pypi/all/simple/"
    plan = planned(pip={"index-url": url}, linked={url: {"https://cdn.test"}})
    assert plan.pip is not None
    assert plan.pip["PIP_INDEX_URL"] == "http://index.test:8443/api/pypi/all/simple/"
    assert plan.pip["PIP_TRUSTED_HOST"] == "index.test:8443 cdn.test"
    assert "cret" not in str(plan.pip)
    text = config.nginx(plan, BUNDLE)
    asked = wanted(text, "index.test", "/api/pypi/all/simple/six/", 8443)
    assert asked is not None
    assert 'Authorization "Basic dHV0b3I6c0BjcmV0"' in asked
    assert "set $dd_url https://index.test:8443/api/pypi/all/simple$1;" in asked
    assert "sub_filter 'https://cdn.test/' 'http://cdn.test/';" in text
    assert "sub_filter 'https://index.test:8443/' 'http://index.test:8443/';" in text
    other = wanted(text, "cdn.test", "/a/six-1.0-py3-none-any.whl")
    assert other is not None
    assert "Authorization" not in other
    asked = wanted(text, "index.test", "/files/six-1.0-py3-none-any.whl", 8443)
    assert asked is not None
    assert "Authorization" in asked


def test_further_indexes_follow_and_files_of_this_machine_do_not() -> None:
    extra = "https://extra.test/simple file:///opt/simple http://127.0.0.1:3141/root/pypi"
    plan = planned(pip={"extra-index-url": extra})
    assert plan.pip is not None
    assert plan.pip["PIP_INDEX_URL"] == "http://index.pip.test/simple/"
    assert plan.pip["PIP_EXTRA_INDEX_URL"] == "http://extra.test/simple/"
    assert {o.name for o in plan.served if o.kind == "index"} == {"index.pip.test", "extra.test"}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"pip": {"proxy": "http://proxy.test:3128"}}, "through a proxy"),
        ({"debian": "http://192.0.2.1/debian"}, "by an address"),
        ({"pip": {"index-url": "https://u:p@192.0.2.1/simple"}}, "by an address"),
        ({"pip": {"index-url": "https://[2001:db8::1]/simple"}}, "by an address"),
        ({"debian": "http://mirror.test/deb;ian{}"}, "unusual characters"),
        ({"debian": "http://mirror.test/$uri"}, "unusual characters"),
        ({"apt": {"Acquire::http::Proxy": "http://192.0.2.1:3142"}}, "by an address"),
    ],
)
def test_what_it_cannot_stand_for_is_said_without_a_password(
    settings: dict[str, object], reason: str
) -> None:
    with pytest.raises(Unusable, match=reason) as raised:
        planned(**settings)  # type: ignore[arg-type]
    assert "u:p" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("deb.dist.test", "/debian/dists/bookworm/InRelease"),
        ("deb.dist.test", "/debian/dists/bookworm/main/binary-amd64/by-hash/SHA256/0a1b"),
        ("deb.dist.test", "/debian/pool/main/g/gcc/libstdc++6_12.2.0-14+deb12u1~x_amd64.deb"),
        ("security.dist.test", "/debian-security/dists/bookworm-security/InRelease"),
        ("index.pip.test", "/simple/six/"),
        ("index.pip.test", "/simple/ruamel.yaml/"),
        ("files.pip.test", "/packages/ab/cd/six-1.16.0-py2.py3-none-any.whl"),
        ("files.pip.test", "/packages/ab/cd/six-1.16.0-py2.py3-none-any.whl.metadata"),
        ("files.pip.test", "/packages/ab/cd/six-1.16.0.tar.gz"),
    ],
)
def test_what_apt_and_pip_ask_for_is_passed_on(name: str, path: str) -> None:
    assert wanted(config.nginx(planned(), BUNDLE), name, path) is not None


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("deb.dist.test", "/"),
        ("deb.dist.test", "/debian/"),
        ("deb.dist.test", "/debian/project/trace/master"),
        ("deb.dist.test", "/simple/six/"),
        ("deb.dist.test", "/debian/pool/a b"),
        ("index.pip.test", "/simple/"),
        ("index.pip.test", "/simple/../pypi/six/json"),
        ("index.pip.test", "/simple/six/\r\nHost: x"),
        ("index.pip.test", "/pypi"),
        ("index.pip.test", "/account/login/"),
        ("files.pip.test", "/packages/index.html"),
    ],
)
def test_nothing_else_is_passed_on(name: str, path: str) -> None:
    assert wanted(config.nginx(planned(), BUNDLE), name, path) is None


def test_indexes_are_asked_again_and_packages_are_not() -> None:
    text = config.nginx(planned(), BUNDLE)
    asked = {
        "/debian/dists/bookworm/InRelease": "1h",
        "/debian/dists/bookworm/main/binary-amd64/by-hash/SHA256/0a1b": "120d",
        "/debian/pool/main/s/sl/sl_5.02-1_amd64.deb": "120d",
    }
    for path, fresh in asked.items():
        assert f"proxy_cache_valid 200 {fresh};" in (wanted(text, "deb.dist.test", path) or "")


def test_pip_may_keep_what_it_gets_as_it_may_from_pypi() -> None:
    text = config.nginx(planned(), BUNDLE)
    page = wanted(text, "index.pip.test", "/simple/six/") or ""
    file = wanted(text, "files.pip.test", "/packages/ab/cd/six-1.16.0.tar.gz") or ""
    assert 'set $dd_keep "max-age=600, public";' in page
    assert 'set $dd_keep "max-age=365000000, immutable, public";' in file


def test_every_name_is_answered_for_and_all_others_do_not_exist() -> None:
    lines = config.dnsmasq(planned()).splitlines()
    assert "address=/#/" in lines
    assert "no-resolv" in lines
    assert "interface-name=index.pip.test,eth1" in lines
    names = {line.split("=")[1].split(",")[0] for line in lines if line.startswith("interface-")}
    assert names == set(planned().names)


def test_servers_are_found_in_an_indexs_page() -> None:
    page = (
        "<a href='https://files.test:8443/a/x-1.whl#sha256=0'>x</a><a href='../../b/x-2.whl'>x</a>"
        "<a href='https://user:word@other.test/x'>x</a><a name='no'>x</a><a href='ftp://f/x'>x</a>"
    )
    assert links.in_page(page) == {"https://files.test:8443", "https://other.test"}


def test_requests_are_counted_by_where_the_answer_came_from() -> None:
    log = (
        "200 MISS- index.pip.test/simple/six/ 123\n200 HIT- index.pip.test/simple/six/ 123\n"
        "200 REVALIDATED- deb.dist.test/debian/dists/x 1\n403 -- example.test/ 142\n"
        "404 MISS- index.pip.test/simple/no/ 3\nsomething else\n\n"
    )
    assert status.counts(log) == (1, 3, 1)


@pytest.mark.parametrize(
    ("output", "host"),
    [
        ("curl: (6) Could not resolve host: elsewhere.test", "elsewhere.test"),
        ("wget: unable to resolve host address ‘elsewhere.test’", "elsewhere.test"),
        ("fatal: unable to access 'https://x.test/': Could not resolve host: x.test", "x.test"),
        ("npm error getaddrinfo ENOTFOUND registry.test", "registry.test"),
        ("curl: (7) Failed to connect to 192.0.2.7 port 80 after 0 ms", "192.0.2.7"),
        ("Temporary failure resolving 'ppa.test'", "ppa.test"),
    ],
)
def test_the_feedback_names_who_was_asked_and_what_can_be_had(output: str, host: str) -> None:
    known = Explainer("counter").explain(output)
    assert known is not None
    assert f"from {host}, which a sandbox cannot reach" in known.reason
    assert "it gets only Debian and Python packages" in known.reason


def test_a_students_own_server_that_does_not_answer_is_another_matter() -> None:
    known = Explainer("counter").explain(
        "curl: (7) Failed to connect to localhost port 80 after 0 ms"
    )
    assert known is None or "packages" not in known.reason


def test_what_the_mirror_could_not_get_is_told_from_what_does_not_exist() -> None:
    apt = "E: Failed to fetch http://d/x.deb  503  Service Temporarily Unavailable [IP: 1.2.3.4 80]"
    pip = (
        "WARNING: Retrying (Retry(total=1)) after connection broken by 'ProtocolError('Connection "
        "aborted.', RemoteDisconnected('Remote end closed connection without response'))': /x/"
    )
    for output in (apt, pip):
        assert unreachable(output)
        assert not_fetched(output)
    assert not not_fetched("E: Failed to fetch http://d/x.deb  404  Not Found [IP: 1.2.3.4 80]")
