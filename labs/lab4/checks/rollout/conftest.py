"""Exercise rollout: a stack is deployed, updated, broken, loses a node, is removed; then voting.

Each thing is done once, by the fixture that is named after it, and several checks look at the
trace of it. The checks are in check_stack.py and check_voting.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.checks import cannot_show
from grader.modules.rollout import proofs

from .fleet import DEPLOY, Fleet
from .seen import Seen
from .shop import Again, Cut, Shop
from .voting import Voting


@pytest.fixture(scope="session")
def fleet(target: Any, variant: dict[str, Any]) -> Iterator[Fleet]:
    """The target's nodes as a swarm, labelled. It is the grader's own and not graded.

    On a read-only target it is the student's, as it is.
    """
    if target.read_only:
        yield Fleet.look(target)
        return
    try:
        yield Fleet.form(target, variant)
    finally:
        target.restore()


@pytest.fixture(scope="session")
def done(target: Any) -> None:
    """What is asked for is done to the stack; so not where it is a student's own."""
    if target.read_only:
        cannot_show(f"The grader does not touch your own stack. {DEPLOY}")


@pytest.fixture(scope="session")
def shop(fleet: Fleet, submission: Path, lab: Any, variant: dict[str, Any]) -> Shop:
    return Shop(fleet, submission, lab, variant)


@pytest.fixture(scope="session")
def again(done: None, shop: Shop) -> Again:
    """What a second deployment of the same file changed."""
    return shop.deploy_again()


@pytest.fixture(scope="session")
def updated(done: None, shop: Shop, variant: dict[str, Any], keep_rollout: Any, stage: Any) -> Seen:
    """The update to 2.0, as it should be."""
    with stage("update"):
        trace = shop.update("2.0", "Update from 1.0 to 2.0")
    seen = Seen.of(
        trace,
        proofs.final_version_and_count(trace, "2.0", shop.one("app").replicas or 0),
        proofs.parallelism_kept(trace, variant["app_parallelism"]),
        proofs.delay_kept(trace, variant["app_delay"]),
        proofs.order_kept(trace, variant["app_order"]),
        proofs.never_below(trace, shop.allowed),
        proofs.no_failed_request(trace),
    )
    keep_rollout(trace, *seen.proofs.values())
    return seen


@pytest.fixture(scope="session")
def spoilt(shop: Shop, updated: Seen, keep_rollout: Any, stage: Any) -> Seen:
    """The update to 3.0, which is never well."""
    with stage("rollback"):
        trace = shop.update("3.0", "Update to 3.0, which is never healthy")
    seen = Seen.of(
        trace,
        proofs.rolled_back_by_itself(trace),
        proofs.final_version_and_count(trace, "2.0", shop.one("app").replicas or 0),
        proofs.never_below(trace, shop.allowed),
        proofs.no_failed_request(trace),
    )
    keep_rollout(trace, *seen.proofs.values())
    return seen


@pytest.fixture(scope="session")
def cut(done: None, shop: Shop, spoilt: Seen, keep_rollout: Any, stage: Any) -> Cut:
    """A worker that runs tasks of app is cut off, and comes back."""
    with stage("lost node"):
        found = shop.cut_off()
    keep_rollout(found.seen.trace, *found.seen.proofs.values())
    return found


@pytest.fixture(scope="session")
def voting(fleet: Fleet, submission: Path, lab: Any, variant: dict[str, Any]) -> Voting:
    return Voting(fleet, submission, lab, variant)
