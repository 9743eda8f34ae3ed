"""A real Chromium: found, or installed where that is possible."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.tools import found_or_installed

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--hide-scrollbars",
    # Nothing but this machine has a name: a request that a page makes goes nowhere.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WHY = "for the tests in a browser"


def programs() -> tuple[str, str]:
    """The paths of Chromium and of its driver; where there are none, pytest's `skip`."""
    names = ("chromium", "chromium-driver")
    browser = found_or_installed(
        lambda: next(filter(None, map(shutil.which, BROWSERS)), None), names, WHY
    )
    return browser, found_or_installed(lambda: shutil.which("chromedriver"), names, WHY)


@contextmanager
def opened(profile: Path) -> Iterator[Any]:
    """Selenium's driver of a browser with its profile in that folder."""
    from selenium import webdriver

    browser, driver_path = programs()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    try:
        yield driver
    finally:
        driver.quit()
