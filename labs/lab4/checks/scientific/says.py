"""Explains the output of builds and containers in the exercise scientific."""

from __future__ import annotations

from grader.modules.explain import GENERAL, Explainer

_SAID: tuple[tuple[str, str, str], ...] = (
    (
        r"externally-managed-environment",
        "Debian's own Python lets pip install into virtual environments only.",
        "Build on python:3.11, or make an environment first: python3 -m venv /opt/venv, and"
        " ENV PATH=/opt/venv/bin:$PATH",
    ),
    (
        r"No matching distribution found for (\S+)",
        "pip does not find {1}.",
        "Check the name and the version. pip index versions NAME lists all versions; the output "
        "above the error shows which fit this Python.",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies",
        "Your versions do not work together.",
        "pip's output shows what each package needs. pip install without versions finds versions "
        "that work; pip freeze shows them.",
    ),
    (
        r"E: Version '(\S+?)' for '(\S+?)' was not found",
        "apt-get has no version {1} of {2}.",
        "apt-cache policy {2} shows the available version (run apt-get update before it).",
    ),
    (
        r"\"/?([^\s\"]+)\": not found|failed to compute cache key:.*\"/?([^\"\n]+)\": not found",
        "COPY does not find {1}{2} in the folder {folder}/.",
        "Paths of COPY start at the folder that is built, {folder}/, and cannot leave it. Check "
        "also that no .dockerignore excludes the file.",
    ),
    (
        r"No module named '?([\w.]+)'?",
        "Python does not find the module {1}.",
        "Install it for the Python that runs: the first python3 in PATH.",
    ),
    (
        r"can't open file '\S*?/?analysis\.py'",
        "There is no analysis.py in the image's working directory.",
        "COPY it to the folder that WORKDIR names.",
    ),
    (
        r"PermissionError: \[Errno 13\] Permission denied: '([^']+)'",
        "The image's user has no permission to read or write {1}.",
        "Check the user and the owner of the file. Use COPY --chown=USER …, or chmod in a RUN as "
        "root.",
    ),
    (
        r"Running as root is not recommended",
        "Jupyter refuses to run as root.",
        "Let the image run as another user (USER …).",
    ),
    (
        r"Jupyter command `(\S+)` not found",
        "The installed Jupyter has no {1}.",
        "Install the package that CMD starts: jupyterlab for jupyter lab, notebook for jupyter "
        "notebook.",
    ),
)

EXPLAINER = Explainer(
    "scientific",
    patterns=(*_SAID, *GENERAL),
    packages=(
        *("python3-numpy", "python3-scipy", "python3-pandas", "python3-matplotlib"),
        "jupyter-notebook",
    ),
)
EXPLAINERS = (EXPLAINER,)

TOO_SLOW = (
    "Install less, or ready-made packages (pip's wheels, Debian's) instead of building from source;"
    " look for a command that waits or never ends."
)
