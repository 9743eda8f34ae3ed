"""A JupyterLab of its own for tests: a server on this machine, and a notebook open in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

THEMES = {False: "JupyterLab Light", True: "JupyterLab Dark"}
TOKEN = "of-the-tests"
PATIENCE = 120
"""Seconds until the server answers, or a page is there; it takes a few where nothing else runs."""


@contextmanager
def server(root: Path, home: Path) -> Iterator[str]:
    """The address of a JupyterLab over the folder `root`; settings and logs are kept in `home`.

    It asks no one for news or versions.
    """
    home.mkdir(parents=True)
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    _set(home, "apputils-extension", "notification", quiet)
    arguments = [
        *("--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"),
        *(f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={TOKEN}"),
        *("--LabApp.extension_manager=readonly", "--LabApp.news_url=None"),
    ]
    with (home / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *arguments],
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            yield _address(process, home)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def choose_theme(home: Path, dark: bool) -> None:
    """What pages that are opened from now on look like."""
    _set(home, "apputils-extension", "themes", {"theme": THEMES[dark]})


def _set(home: Path, extension: str, plugin: str, values: dict[str, Any]) -> None:
    folder = home / "settings" / "@jupyterlab" / extension
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{plugin}.jupyterlab-settings").write_text(json.dumps(values), "utf-8")


def _address(process: subprocess.Popen[bytes], home: Path) -> str:
    """Where the server says that it listens, once it answers there."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        for file in (home / "runtime").glob("jpserver-*.json"):
            try:
                port = json.loads(file.read_text("utf-8"))["port"]
                ask = Request(
                    f"http://127.0.0.1:{port}/api/status",
                    headers={"Authorization": f"token {TOKEN}"},
                )
                with urlopen(ask, timeout=10):
                    return f"http://localhost:{port}"
            except (ValueError, URLError, OSError):
                continue
        time.sleep(0.2)
    raise AssertionError(f"JupyterLab does not answer:\n{(home / 'log.txt').read_text('utf-8')}")
