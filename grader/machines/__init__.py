"""Practice machines: a swarm's nodes that belong to a person, not to a submission.

    machines = provider("containers")
    machines.up(print)
    [node.name for node in machines.nodes()]  # ['manager1', 'worker1', 'worker2']

Providers make and find machines (containers, vagrant, hosts). joining, status and env work over
`grader.nodes.node.Node` and do not depend on a provider.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from grader.errors import KitError
from grader.machines.provider import Options

if TYPE_CHECKING:
    from grader.machines.provider import Provider

KINDS = ("containers", "vagrant", "hosts")


def provider(kind: str, **options: Any) -> Provider:
    """The provider of that kind; `options` as in `Options`. Raises KitError if there is none."""
    if kind not in KINDS:
        raise KitError(f"There is no provider {kind!r}.", remedy=f"There are: {', '.join(KINDS)}.")
    name = f"{__name__}.{kind}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise KitError(f"This version of the kit has no provider {kind!r} yet.") from None
    made: Provider = module.open_provider(Options(**options))
    return made
