"""The settings of this machine's apt and pip for the images: mirror, proxy, authorities.

So a student's ordinary `RUN apt-get install` and `RUN pip install` work where the machine's do. The
images get no secrets (an image may be passed on) and nothing that works only on this machine (its
loopback, its files).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from grader.engine import packages

BUNDLE = "/usr/local/share/drydock/ca-bundle.crt"
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
PIP_URLS = ("index-url", "extra-index-url", "proxy")
PIP_WORDS = ("trusted-host", "timeout", "default-timeout", "retries")


@dataclass(frozen=True)
class Site:
    """`files` {path without leading slash: content}; `arguments` of the recipe `site`."""

    files: Mapping[str, bytes]
    arguments: Mapping[str, str]

    @property
    def is_empty(self) -> bool:
        return not self.files and not self.arguments

    @property
    def digest(self) -> str:
        found = sha256(repr(sorted(self.arguments.items())).encode())
        for name, content in sorted(self.files.items()):
            found.update(name.encode() + b"\0" + content + b"\0")
        return found.hexdigest()[:32]


def read() -> Site:
    """This machine's configuration; takes some tenths of a second, because it asks pip."""
    files: dict[str, bytes] = {}
    pip = packages.pip_site_config()
    own = own_authorities()
    cert = Path(pip["cert"]) if pip.get("cert") else None
    if own or (cert is not None and cert.is_file()):
        bundle = cert if cert is not None and cert.is_file() else packages.ca_bundle()
        if bundle is not None:
            files[BUNDLE.lstrip("/")] = bundle.read_bytes()
        for number, certificate in enumerate(own, start=1):
            # update-ca-certificates, run by Debian's package, takes these up.
            name = f"usr/local/share/ca-certificates/drydock-site-{number}.crt"
            files[name] = certificate.encode() + b"\n"
    trusts = BUNDLE.lstrip("/") in files
    arguments = _mirrors()
    if settings := list(_pip(pip, trusts)):
        files["etc/pip.conf"] = "\n".join(["[global]", *settings, ""]).encode()
    if settings := list(_apt(trusts and any(v.startswith("https") for v in arguments.values()))):
        files["etc/apt/apt.conf.d/90drydock-site"] = "\n".join([*settings, ""]).encode()
    return Site(files, arguments)


def own_authorities(
    distribution: Path = Path("/usr/share/ca-certificates"),
    bundle: Path | None = None,
    anchors: Path = Path("/etc/pki/ca-trust/source/anchors"),
) -> list[str]:
    """Certificates (PEM), sorted, that this machine trusts and its distribution does not
    include."""
    if not distribution.is_dir():
        # Not a Debian: there is nothing to compare with, but a place for one's own.
        paths = sorted(anchors.glob("*")) if anchors.is_dir() else []
        return sorted({pem for path in paths for pem in _certificates(path)})
    bundle = bundle or packages.ca_bundle()
    if bundle is None:
        return []
    shipped = {pem for path in distribution.rglob("*.crt") for pem in _certificates(path)}
    return sorted(set(_certificates(bundle)) - shipped)


def _certificates(path: Path) -> list[str]:
    try:
        text = path.read_text("utf-8", errors="replace").replace("\r\n", "\n")
    except OSError:
        return []
    return PEM.findall(text)


def _pip(settings: Mapping[str, str], trusts: bool) -> Iterator[str]:
    if trusts:
        yield f"cert = {BUNDLE}"
    for key in PIP_URLS:
        urls = [url for url in settings.get(key, "").split() if reachable_from_container(url)]
        if urls:
            yield f"{key} = " + "\n    ".join(urls)
    for key in PIP_WORDS:
        words = settings.get(key, "").split()
        if words:
            name = key.removeprefix("default-")
            yield f"{name} = " + "\n    ".join(words)


def _apt(https_mirror: bool) -> Iterator[str]:
    for key, value in packages.apt_proxies().items():
        if reachable_from_container(value):
            yield f'{key} "{value}";'
    if https_mirror:
        yield f'Acquire::https::CAInfo "{BUNDLE}";'


def _mirrors() -> dict[str, str]:
    """The servers of Debian and its security updates, as far as this machine's settings name
    them."""
    found: dict[str, str] = {}
    mirror = packages.debian_mirror()
    if mirror is not None and reachable_from_container(mirror):
        found["MIRROR"] = mirror.rstrip("/")
    for source in packages.apt_mirrors():
        if any(suite.endswith("-security") for suite in source.suites):
            for uri in source.uris:
                # Ubuntu's security suites lie beside the others, Debian's on their own.
                if "debian-security" in uri and reachable_from_container(uri):
                    found["SECURITY_MIRROR"] = uri.rstrip("/")
                    return found
    return found


def reachable_from_container(url: str) -> bool:
    """Whether a URL works in an image: no file, no loopback, no password in it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.username or parts.password:
        return False
    host = parts.hostname or ""
    return not (host in ("", "localhost", "::1") or host.startswith("127."))
