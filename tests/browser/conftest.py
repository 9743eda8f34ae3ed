"""What the tests of pages share: a browser, pages in it, and pictures of them."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from grader.reports import feedback
from tests.browser import chromium
from tests.tools import found_or_installed
from tests.unit import sample_record


@dataclass
class Page:
    """An open page, and what a test asks of it. Widths and heights are CSS pixels."""

    driver: Any
    artifacts: Path
    opened: list[str] = field(default_factory=list)

    def open(
        self,
        file: Path,
        *,
        width: int = 1100,
        height: int = 900,
        dark: bool = False,
        media: str = "screen",
    ) -> Page:
        """Open a file from disk, as it looks on such a screen or on paper."""
        self.logs("browser")
        self.logs("performance")
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if width < 600 else 1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.cdp("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.driver.get(file.as_uri())
        self.opened.append(file.as_uri())
        return self

    def cdp(self, command: str, **arguments: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.driver.execute_cdp_cmd(command, arguments)
        return found

    def js(self, body: str, *arguments: Any) -> Any:
        return self.driver.execute_script(body, *arguments)

    def logs(self, kind: str) -> list[dict[str, Any]]:
        """What was logged since the last call; `kind` is `browser` or `performance`."""
        entries: list[dict[str, Any]] = self.driver.get_log(kind)
        return entries

    def requests(self) -> list[str]:
        """The addresses that the page asked for since it was opened, its own first.

        What the browser asks for on its own account, for its start page, is left out.
        """
        events = (json.loads(entry["message"])["message"] for entry in self.logs("performance"))
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
            and event["params"]["documentURL"] == self.opened[-1]
        ]

    def shot(self, name: str) -> Path:
        """A picture of the whole page, kept among the artifacts."""
        shown = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file = self.artifacts / f"{name}.png"
        file.write_bytes(base64.b64decode(shown["data"]))
        return file

    def pdf(self, name: str) -> Path:
        """The page as it is printed, on A4."""
        self.cdp("Emulation.setEmulatedMedia", media="", features=[])
        printed = self.cdp("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
        file = self.artifacts / f"{name}.pdf"
        file.write_bytes(base64.b64decode(printed["data"]))
        return file


OnPaper = Callable[[Page, str], str]
"""The words of an open page as it is printed; the PDF file is kept under the given name."""


@pytest.fixture(scope="session")
def on_paper() -> OnPaper:
    pdftotext = found_or_installed(
        lambda: shutil.which("pdftotext"), ("poppler-utils",), chromium.WHY
    )

    def words(page: Page, name: str) -> str:
        done = subprocess.run(
            [pdftotext, "-layout", str(page.pdf(name)), "-"],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=True,
        )
        return " ".join(done.stdout.split())

    return words


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go; `DRYDOCK_ARTIFACTS` names a folder that outlives the tests."""
    named = os.environ.get("DRYDOCK_ARTIFACTS")
    folder = Path(named) / "browser" if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def open_driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser for all tests, with a profile of its own."""
    with chromium.opened(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def page(open_driver: Any, artifacts: Path) -> Page:
    """A browser in which to open pages."""
    return Page(open_driver, artifacts)


@pytest.fixture
def rendered(tmp_path: Path) -> Callable[[str], Path]:
    """`rendered("typical")`: the feedback page of that sample record, as a file."""

    def render(name: str) -> Path:
        file = tmp_path / "a folder with spaces" / f"{name}.html"
        feedback.write(getattr(sample_record, name)(), file)
        return file

    return render
