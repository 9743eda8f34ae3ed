"""vagrant/nodes.yaml as far as the grader needs it: which machines there are, and where.

The Vagrantfile reads the same file and says what is wrong with it (vagrant/nodes.rb).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from grader import paths
from grader.errors import KitError

FILE = paths.KIT / "vagrant" / "nodes.yaml"


def addresses(file: Path = FILE) -> dict[str, str]:
    """IPv4 address by name, in the file's order. KitError where it cannot be read."""
    try:
        tree: Any = yaml.safe_load(file.read_text("utf-8"))
        return {str(name): str(own["address"]) for name, own in tree["nodes"].items()}
    except (OSError, yaml.YAMLError, TypeError, KeyError, AttributeError):
        raise KitError(
            "The list of machines cannot be read.",
            where=str(file),
            remedy="`vagrant validate` shows what is wrong.",
        ) from None
