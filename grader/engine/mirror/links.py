"""Which servers an index of Python packages links to: files can be on another server than the
index."""

from __future__ import annotations

import base64
import ssl
import urllib.request
from html.parser import HTMLParser
from pathlib import Path
from urllib.error import URLError
from urllib.parse import unquote, urlsplit

SECONDS = 10
PAGE_BYTES = 8_000_000


def servers(index: str, bundle: Path | None) -> set[str]:
    """The servers ("https://host:port") that the index's pages link to, taken from one of them
    (pip's own).

    `bundle` has the trusted certificates. Empty if the index does not answer: files on the index's
    own server still work.
    """
    parts = urlsplit(index)
    url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}/pip/"
    request = urllib.request.Request(url, headers={"Accept": "text/html"})
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    trusted = ssl.create_default_context(cafile=str(bundle) if bundle is not None else None)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS, context=trusted) as answer:
            return in_page(answer.read(PAGE_BYTES).decode("utf-8", errors="replace"))
    except (URLError, OSError, ValueError):
        return set()


def in_page(page: str) -> set[str]:
    """Servers that a page links to, user names left out."""
    parser = _Links()
    parser.feed(page)
    return parser.found


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            parts = urlsplit(value or "")
            if tag == "a" and name == "href" and parts.scheme in ("http", "https"):
                host = parts.netloc.rpartition("@")[2]
                if host:
                    self.found.add(f"{parts.scheme}://{host}")
