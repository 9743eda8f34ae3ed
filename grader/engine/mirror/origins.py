"""The servers that the mirror replaces: those of this machine's apt and pip.

Everything is read from apt's and pip's own configuration; the mirror serves nothing else.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from grader.engine import packages

Kind = Literal["debian", "index", "files"]
PORTS = {"http": 80, "https": 443}
NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.IGNORECASE)
PATH = re.compile(r"(/[A-Za-z0-9._~+-]+)*")


class Unusable(Exception):
    """The mirror does not support this machine's configuration; the message says why, in a
    sentence."""


@dataclass(frozen=True)
class Public:
    """The servers that distribution and pip use by default, from their own files (URLs).

    `security` are the names of one folder. Empty if this machine does not say.
    """

    debian: str = ""
    security: tuple[str, ...] = ()
    index: str = ""
    files: str = ""


@dataclass(frozen=True)
class Origin:
    """One folder of one server: its name in sandboxes, and its real source.

    Sandboxes ask `http://name:port` for paths below `path` ("" or "/a/b"). The mirror fetches
    `upstream` plus the rest of the path, through the proxy `parent` if there is one.
    """

    kind: Kind
    name: str
    port: int
    path: str
    upstream: str
    parent: str | None = None
    authorization: str | None = None


@dataclass(frozen=True)
class Origins:
    """All of them. `encrypted` are "host:port" that sandboxes' apt contacts over TLS: passed
    through unread. `proxies` are (name, port) of proxies in the settings of the images' apt.
    `pip` is the environment with which pip finds the mirror. `rewrites` are (link in index
    pages, address for sandboxes). `bundle` has the certificates that this machine trusts."""

    served: tuple[Origin, ...]
    encrypted: tuple[str, ...] = ()
    proxies: tuple[tuple[str, int], ...] = ()
    pip: Mapping[str, str] | None = None
    rewrites: tuple[tuple[str, str], ...] = ()
    bundle: Path | None = None

    @property
    def names(self) -> list[str]:
        """Host names that lead to the mirror in a sandbox, sorted."""
        found = {origin.name for origin in self.served}
        found.update(host.rsplit(":", 1)[0] for host in self.encrypted)
        found.update(name for name, _ in self.proxies)
        return sorted(found)


def read() -> Origins:
    """Read this machine's origins from apt and pip. Raises Unusable."""
    from grader.engine.mirror import links

    security = ""
    for source in packages.apt_mirrors():
        if any(suite.endswith("-security") for suite in source.suites):
            security = next((uri for uri in source.uris if "debian-security" in uri), security)
    public = read_public()
    pip = packages.pip_site_config()
    cert = Path(pip["cert"]) if pip.get("cert") else None
    bundle = cert if cert is not None and cert.is_file() else packages.ca_bundle()
    found = plan(
        packages.debian_mirror(),
        security or None,
        packages.apt_proxies(),
        pip,
        lambda index: (
            {public.files}
            if public.files and urlsplit(index).hostname == urlsplit(public.index).hostname
            else links.servers(index, bundle)
        ),
        public,
    )
    return replace(found, bundle=bundle)


def read_public() -> Public:
    """The defaults of this machine's distribution and pip."""
    index, files = packages.pip_defaults()
    domain = packages.debian_domain()
    if domain is None:
        return Public(index=index, files=files)
    names = (f"http://{name}.{domain}/debian-security" for name in ("deb", "security"))
    return Public(f"http://deb.{domain}/debian", tuple(names), index, files)


def plan(
    debian: str | None,
    security: str | None,
    apt_proxies: Mapping[str, str],
    pip: Mapping[str, str],
    linked: Callable[[str], set[str]],
    public: Public,
) -> Origins:
    """Origins from the settings of apt and pip (as grader.engine.packages gives them).

    `linked` says which servers ("https://host:port") an index's pages link to.
    Raises Unusable.
    """
    parent = apt_proxies.get("Acquire::http::Proxy")
    usual = (public.debian,) if public.debian else ()
    served = [*_debian(debian, usual, parent), *_debian(security, public.security, parent)]
    if not served:
        raise Unusable("nothing here says where Debian's packages are (apt's settings)")
    encrypted = sorted(
        {
            _server(uri)
            for uri in (debian, security)
            if uri is not None and uri.startswith("https://")
        }
    )
    proxies = []
    if parent is not None:
        parts = urlsplit(parent)
        proxies = [(_name(parts.hostname or "", parent), parts.port or 80)]
    if pip.get("proxy"):
        raise Unusable("pip reaches its index through a proxy (pip's setting `proxy`)")
    indexes = [pip.get("index-url") or public.index, *pip.get("extra-index-url", "").split()]
    indexes = list(dict.fromkeys(url for url in map(_http, indexes) if url is not None))
    servers: dict[str, None] = {}
    for index in indexes:
        served.append(_origin("index", index, index))
        for url in sorted({f"{urlsplit(index).scheme}://{_server(index)}", *linked(index)}):
            servers[url] = None
    authorizations = {o.upstream.split("/")[2]: o.authorization for o in served if o.authorization}
    for url in servers:
        mine = authorizations.get(urlsplit(url).netloc)
        served.append(_origin("files", url, url, authorization=mine))
    return Origins(
        tuple(_once(served)),
        tuple(encrypted),
        tuple(proxies),
        _pip_environment(indexes, list(servers)),
        tuple((f"{_spelled(url)}/", f"{_reached(url)}/") for url in servers),
    )


def _debian(configured: str | None, usual: Sequence[str], parent: str | None) -> Iterator[Origin]:
    """As the images name it: by the configured mirror, and by Debian's own names."""
    upstream = _http(configured) or next(iter(usual), None)
    if upstream is None:
        return
    own = [configured] if configured is not None and configured.startswith("http://") else []
    for name in [*own, *usual]:
        yield _origin("debian", name, upstream, parent)


def _origin(
    kind: Kind,
    url: str,
    upstream: str,
    parent: str | None = None,
    authorization: str | None = None,
) -> Origin:
    """`url` is what a sandbox would use were it not for the mirror."""
    parts, real = urlsplit(url), urlsplit(upstream)
    path, below = parts.path.rstrip("/"), real.path.rstrip("/")
    if not PATH.fullmatch(path) or not PATH.fullmatch(below):
        raise Unusable(f"the address {_without_password(url)} has unusual characters in it")
    if real.username or real.password:
        pair = f"{unquote(real.username or '')}:{unquote(real.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    return Origin(
        kind,
        _name(parts.hostname or "", url),
        _plain_port(url),
        path,
        f"{real.scheme}://{_spelled_host(upstream)}{below}",
        parent if real.scheme == "http" else None,
        authorization,
    )


def _once(served: list[Origin]) -> list[Origin]:
    """Only the first of several origins that a sandbox could not distinguish."""
    found: dict[tuple[Kind, str, int, str], Origin] = {}
    for origin in served:
        found.setdefault((origin.kind, origin.name, origin.port, origin.path), origin)
    return list(found.values())


def _pip_environment(indexes: list[str], servers: list[str]) -> dict[str, str]:
    if not indexes:
        return {}
    urls = [f"{_reached(url)}{urlsplit(url).path.rstrip('/')}/" for url in indexes]
    trusted = dict.fromkeys(urlsplit(_reached(url)).netloc for url in [*indexes, *servers])
    found = {
        "PIP_INDEX_URL": urls[0],
        "PIP_TRUSTED_HOST": " ".join(trusted),
        # The mirror tries itself; and it may be just fetching the same for someone else.
        "PIP_RETRIES": "2",
        "PIP_TIMEOUT": "300",
        # A page of hundreds of kilobytes, read only to name a newer pip.
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    if urls[1:]:
        found["PIP_EXTRA_INDEX_URL"] = " ".join(urls[1:])
    return found


def _http(url: str | None) -> str | None:
    """The URL if the mirror can fetch from there: no file, nothing on this machine itself."""
    if url is None:
        return None
    parts = urlsplit(url)
    host = parts.hostname or ""
    loopback = host in ("", "localhost", "::1") or host.startswith("127.")
    return None if loopback or parts.scheme not in PORTS else url


def _name(host: str, url: str) -> str:
    if not NAME.fullmatch(host) or re.fullmatch(r"[0-9.]+", host):
        raise Unusable(f"{_without_password(url)} names its server by an address, not by a name")
    return host.lower()


def _server(url: str) -> str:
    parts = urlsplit(url)
    return f"{_name(parts.hostname or '', url)}:{parts.port or PORTS[parts.scheme]}"


def _plain_port(url: str) -> int:
    """The port where sandboxes reach it without TLS: the same port, unless it is TLS's own."""
    port = int(_server(url).rsplit(":", 1)[1])
    return 80 if port == PORTS["https"] else port


def _spelled_host(url: str) -> str:
    name, port = _server(url).rsplit(":", 1)
    return name if int(port) == PORTS[urlsplit(url).scheme] else f"{name}:{port}"


def _spelled(url: str) -> str:
    return f"{urlsplit(url).scheme}://{_spelled_host(url)}"


def _reached(url: str) -> str:
    name, port = _server(url).rsplit(":", 1)[0], _plain_port(url)
    return f"http://{name}" if port == 80 else f"http://{name}:{port}"


def _without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)
