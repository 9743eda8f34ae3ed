"""Requests from the grader's own client to a node: what a browser would get.

    get(node.address, 8100, "/", {"n": 17}).text  # '<h1>Hello …'

Only addresses of the lab are asked: loopback and private IPv4 addresses. The client connects to
the address and port that it is given and to no other: of a redirect only path and query are used.
Proxies, `.netrc` and cookies are not.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlencode, urljoin, urlsplit

from grader.errors import EngineFault
from grader.modules.exchange import MAX_BODY, MAX_HEAD, OURS, Answer, NotHTTP, exchange
from grader.nodes import reach

if TYPE_CHECKING:
    from grader.nodes.node import Node

__all__ = [
    "Answer",
    "Redirect",
    "connects",
    "get",
    "only_the_labs_own",
    "post",
    "redirect",
    "request",
    "request_inside",
]

MAX_REDIRECTS = 5
MAX_LOCATION = 8_000
"""Characters of a `Location` that is followed."""

HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "drydock"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

_MOVED = (301, 302, 303, 307, 308)
_HERE = ("localhost", "127.0.0.1")
"""Hosts of a redirect that are the node, too: its visitors sit in front of it."""

_CONTROL = "".join(map(chr, range(33)))
_IGNORED = dict.fromkeys(map(ord, "\t\r\n"))
_PRINTABLE = "/?%:@!$&'()*+,;=~[]|^`{}\\"

# The exit code comes last, and is missing where the answer is longer than what is read.
_CURL = 'most=$1; shift; { curl "$@"; echo " $?"; } | head -c "$most"'
_CURL_ENDED = re.compile(r" (\d{1,3})\n\Z")
_CURL_HEAD = re.compile(r"HTTP/\d(?:\.\d)? (\d{3})\b")
_CURL_HEAD_ENDS = re.compile(r"\r?\n\r?\n")


def get(
    address: str,
    port: int,
    path: str = "/",
    query: Mapping[str, str | int] | None = None,
    *,
    timeout: float = 5.0,
    headers: Mapping[str, str] | None = None,
    follow: bool = False,
) -> Answer | None:
    """The answer; None where no whole one came within `timeout` seconds. See `request`."""
    return request(
        "GET", address, port, path, query, timeout=timeout, headers=headers, follow=follow
    )


def post(
    address: str,
    port: int,
    path: str,
    form: Mapping[str, str | int],
    *,
    timeout: float = 30.0,
    headers: Mapping[str, str] | None = None,
) -> Answer | None:
    """Send a form; None where no whole answer came within `timeout` seconds. See `request`."""
    return request("POST", address, port, path, form=form, timeout=timeout, headers=headers)


def request(
    method: str,
    address: str,
    port: int,
    path: str = "/",
    query: Mapping[str, str | int] | None = None,
    *,
    form: Mapping[str, str | int] | None = None,
    timeout: float = 5.0,
    headers: Mapping[str, str] | None = None,
    follow: bool = False,
) -> Answer | None:
    """One request, and with `follow` those to which the node's redirects lead.

    None where no whole answer came within `timeout` seconds: refused, reset, silent, too slow, not
    HTTP; and for port 0, that of what does not run, or not any more. A redirect that leads
    elsewhere, or once too often, is itself the answer.

    Raises ValueError for a public address, EngineFault where the grader's own machine cannot make
    connections; nothing for what a server or the network does.
    """
    only_the_labs_own(address)
    if port == 0:
        return None
    deadline = time.monotonic() + timeout
    body = urlencode(form or {}).encode()
    sent = {**HEADERS, **(FORM if body else {}), **(headers or {})}
    answer = _answer(address, port, method, _target(path, query), timeout, sent, body)
    for _ in range(MAX_REDIRECTS if follow else 0):
        there = redirect(answer) if answer else None
        left = deadline - time.monotonic()
        if there is None or there.host not in (address, *_HERE) or left <= 0:
            break
        followed = _answer(address, port, "GET", there.target, left, HEADERS)
        if followed is None:
            break
        answer = followed
    return answer


def request_inside(
    node: Node,
    host: str,
    port: int,
    path: str = "/",
    *,
    form: Mapping[str, str | int] | None = None,
    timeout: float = 10.0,
    headers: Mapping[str, str] | None = None,
) -> Answer | None:
    """Likewise, asked by the node's own curl: for ports that are published on its localhost only.

    `host` is `localhost` or a loopback address. With a `form` it is sent by POST. Redirects are
    not followed. Raises what `node.run` raises.
    """
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise ValueError(f"{host} is not the node itself")
    target = _target(path, None)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}{target}"
    options = ["--disable", "--silent", "--include", "--globoff", "--path-as-is"]
    options += ["--proto", "=http", "--noproxy", "*", "--max-time", f"{timeout:g}"]
    for name, value in (headers or {}).items():
        options += ["--header", f"{name}: {value}"]
    if form is not None:
        options += ["--data-raw", urlencode(form)]
    most = MAX_HEAD + MAX_BODY
    argv = ["sh", "-c", _CURL, "curl", str(most), *options, "--", url]
    done = node.run(argv, timeout=timeout + 10, keep=most)
    ended = _CURL_ENDED.search(done.out, max(0, len(done.out) - 5))
    if not done.ok or (ended and ended[1] != "0"):
        return None
    return _from_curl(done.out[: ended.start()] if ended else done.out, url)


def connects(address: str, port: int, timeout: float = 2.0) -> bool:
    """Whether a TCP port takes a connection within `timeout` seconds."""
    only_the_labs_own(address)
    try:
        with reach.connect(address, port, timeout):
            return True
    except OSError as error:
        _not_ours(error)
        return False


class Redirect(NamedTuple):
    """Where a redirect leads: a host, in small letters, and a path with its query."""

    host: str
    target: str


def redirect(answer: Answer) -> Redirect | None:
    """Where a browser goes on from here; None for no redirect, and for one that is not to HTTP.

    The host is for comparing only: whoever follows asks the same address and port again.
    """
    location = answer.headers.get("location", "")
    if answer.status not in _MOVED or not location or len(location) > MAX_LOCATION:
        return None
    # As browsers read it: no tabs and line ends, \ is /, and two or more of them begin a host.
    location = location.strip(_CONTROL).translate(_IGNORED)
    path, mark, query = location.partition("?")
    path = re.sub(r"^(https?:)?/{2,}", r"\1//", path.replace("\\", "/"), flags=re.IGNORECASE)
    try:
        parts = urlsplit(urljoin(answer.url, path + mark + query))
        host = parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme != "http" or "@" in parts.netloc:
        return None
    return Redirect(host, _target(parts.path + (f"?{parts.query}" if parts.query else ""), None))


def only_the_labs_own(address: str) -> None:
    """Raises ValueError for what is not a host's loopback or private address."""
    ip = ipaddress.ip_address(address)
    if not (ip.is_loopback or ip.is_private) or ip.is_link_local or ip.is_unspecified:
        raise ValueError(f"{address} is not an address of the lab")


def _answer(
    address: str,
    port: int,
    method: str,
    target: str,
    timeout: float,
    headers: Mapping[str, str],
    body: bytes = b"",
) -> Answer | None:
    try:
        return exchange(address, port, method, target, timeout=timeout, headers=headers, body=body)
    except NotHTTP:
        return None
    except OSError as error:
        _not_ours(error)
        return None


def _not_ours(error: OSError) -> None:
    if error.errno in OURS:
        why = f"The grader's machine cannot make a connection: {error.strerror}."
        raise EngineFault(why) from error


def _target(path: str, query: Mapping[str, str | int] | None) -> str:
    """A path below the server's root, whatever the text is, and its query: in ASCII."""
    target = quote(path if path.startswith("/") else f"/{path}", _PRINTABLE, errors="replace")
    if query:
        target += ("&" if "?" in target else "?") + urlencode(query)
    return target


def _from_curl(out: str, url: str) -> Answer | None:
    """The answer in curl's output: one or more heads (`100 Continue` first), and a body."""
    at = 0
    while found := _CURL_HEAD.match(out, at):
        end = _CURL_HEAD_ENDS.search(out, at, MAX_HEAD)
        if end is None:
            return None
        if (status := int(found[1])) >= 200:
            pairs = (line.partition(":") for line in out[at : end.start()].split("\n")[1:])
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            return Answer(status, headers, out[end.end() : end.end() + MAX_BODY], url)
        at = end.end()
    return None
