"""Explains messages of `docker stack deploy` to someone who sees them for the first time."""

from __future__ import annotations

from grader.modules.explain import Explained, Explainer
from grader.nodes.node import Completed

_SAID: tuple[tuple[str, str, str], ...] = (
    (
        r"(?<!\S)(\S+) Additional property (\S+) is not allowed",
        "Docker does not know the key `{2}` there ({1}).",
        "Check its spelling and its indentation: it may belong one level further in or out.",
    ),
    (
        r"(?<![\w.-])((?:services|networks|configs|volumes)\.\S+) (must be .+)",
        "Docker does not accept {1}: it {2}.",
        "Compare it with the example in the worksheet: is it a list (lines with `- `), a mapping"
        " (`key: value`), a number or a text?",
    ),
    (
        r"port published with ingress mode can't be used with dnsrr mode",
        "A service publishes a port in the mesh (ingress) and has `endpoint_mode: dnsrr`.",
        "Publish the port in the long form with `mode: host`.",
    ),
    (
        r"service \"?(\S+?)\"?: undefined (network|volume|config) \"?([^\s\"]+)"
        r"|undefined (network|volume|config) \"?([^\s\"]+)",
        "A service uses a {2}{4} `{3}{5}`, which the file does not define.",
        "List networks, volumes and configs also at the end of the file, under a key without "
        "indentation.",
    ),
    (
        r"unsupported Compose file version: (\S+)",
        "Docker does not accept `version: {1}` for a stack. Older engines read a missing version "
        "as 1.0.",
        'Write version: "3.8" at the top of the file.',
    ),
    (
        r"invalid duration|time: (?:invalid|missing|unknown)",
        "A time cannot be read.",
        "Write times with a unit: 2s.",
    ),
    (
        r"yaml: (.+)",
        "Docker cannot read the file as YAML: {1}.",
        "Check that line and the one before.",
    ),
    (
        r"invalid reference format",
        "The name of an image cannot be read.",
        "Write NAME:TAG, without spaces.",
    ),
    (
        r"(?:port '?(\d+)'? is already in use by service|port (\d+) is already)",
        "Two services publish the port {1}{2}.",
        "Each published port belongs to one service.",
    ),
    (
        r"name must be valid|invalid (?:constraint|expression)|constraint .*",
        "A constraint cannot be read.",
        "Write it like `node.labels.NAME == VALUE`, as one item of a list.",
    ),
)

EXPLAINER = Explainer("rollout", patterns=_SAID)
EXPLAINERS = (EXPLAINER,)


def explained(done: Completed) -> Explained:
    """Why a `docker stack deploy` did not work."""
    if done.timed_out:
        return Explained(
            f"`docker stack deploy` was not ready after {done.seconds:.0f} seconds.",
            "Run it yourself and see what it waits for.",
        )
    return EXPLAINER.explain(done.out) or Explained(
        "`docker stack deploy` does not work.",
        "Run it yourself in rollout/ and read its last line.",
    )
