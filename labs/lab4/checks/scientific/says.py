"""What a build's or a container's words mean in the exercise scientific."""

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
        "pip knows no {1}.",
        "Check name and version. pip index versions NAME lists those there are, and the output"
        " above the error says which fit this Python.",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies",
        "The versions that you name do not go together.",
        "pip's output says who needs what. pip install without versions finds some that do; pip"
        " freeze shows which.",
    ),
    (
        r"E: Version '(\S+?)' for '(\S+?)' was not found",
        "apt-get has no version {1} of {2}.",
        "apt-cache policy {2} shows the version there is (run apt-get update before it).",
    ),
    (
        r"\"/?([^\s\"]+)\": not found|failed to compute cache key:.*\"/?([^\"\n]+)\": not found",
        "COPY finds no {1}{2} in the folder {folder}/.",
        "Paths of COPY count from the folder that is built, {folder}/, and cannot lead out of"
        " it. Does a .dockerignore leave it out?",
    ),
    (
        r"No module named '?([\w.]+)'?",
        "Python finds no module {1}.",
        "Install it for the Python that runs: the python3 that comes first in PATH.",
    ),
    (
        r"can't open file '\S*?/?analysis\.py'",
        "There is no analysis.py in the folder where commands of the image start.",
        "COPY it to the folder that WORKDIR names.",
    ),
    (
        r"PermissionError: \[Errno 13\] Permission denied: '([^']+)'",
        "The image's user may not read or write {1}.",
        "Which user runs it, and whose is it? COPY --chown=USER …, or chmod in a RUN as root.",
    ),
    (
        r"Running as root is not recommended",
        "Jupyter refuses to run as root.",
        "That is the point: let the image run as a user of its own (USER …).",
    ),
    (
        r"Jupyter command `(\S+)` not found",
        "The Jupyter that is installed has no {1}.",
        "Install what CMD starts: jupyterlab for jupyter lab, notebook for jupyter notebook.",
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
