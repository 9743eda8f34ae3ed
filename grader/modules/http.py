"""Requests from the grader's own client to a node: what a browser would get.

    >>> get(node.address, 8100, "/", {"n": 17}).text
    '<h1>Hello …'

Only addresses of the lab are asked: loopback and private IPv4 addresses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

import requests

from grader.targets import reach

MAX_BODY = 1_000_000
"""Bytes of an answer that are read; the rest is not waited for."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. `headers` have lower-case names; `text` is cut at MAX_BODY bytes."""

    status: int
    headers: Mapping[str, str]
    text: str
    url: str

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


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
    """The answer, or None where none came within `timeout` seconds (refused, reset, silent)."""
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
    """Send a form; None where no answer came within `timeout` seconds."""
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
    """One request; never raises for what a server or the network does."""
    only_the_labs_own(address)
    url = f"http://{address}:{port}{path}"
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", reach.Adapter())
        try:
            with session.request(
                method,
                url,
                params=dict(query or {}),
                data=dict(form) if form else None,
                headers=dict(headers or {}),
                timeout=timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                raw = response.raw.read(MAX_BODY, decode_content=True)
                answer = Answer(
                    status=response.status_code,
                    headers={k.lower(): v for k, v in response.headers.items()},
                    text=raw.decode(response.encoding or "utf-8", errors="replace"),
                    url=response.url,
                )
        except (requests.RequestException, OSError, LookupError, ValueError):
            return None
        except Exception as error:
            # urllib3 lets errors of a broken body through as its own.
            if type(error).__module__.startswith(("urllib3", "http.client")):
                return None
            raise
    location = answer.headers.get("location", "")
    if follow and answer.status in (301, 302, 303, 307, 308) and location:
        return _followed(answer, address, port, location, timeout)
    return answer


def connects(address: str, port: int, timeout: float = 2.0) -> bool:
    """Whether a TCP port takes a connection within `timeout` seconds."""
    only_the_labs_own(address)
    try:
        with reach.connect(address, port, timeout):
            return True
    except OSError:
        return False


def _followed(answer: Answer, address: str, port: int, location: str, timeout: float) -> Answer:
    """The page a redirect leads to, asked of the same server whatever host the redirect names."""
    path = location
    if location.startswith("http"):
        path = "/" + location.split("://", 1)[1].partition("/")[2]
    return get(address, port, path, timeout=timeout) or answer


def only_the_labs_own(address: str) -> None:
    ip = ipaddress.ip_address(address)
    if not (ip.is_loopback or ip.is_private):
        raise ValueError(f"{address} is not an address of the lab")
