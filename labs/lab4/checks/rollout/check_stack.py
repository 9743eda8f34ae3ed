"""Checks of stack.yaml, in the order of testing by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grader.checks import cannot_show, check, fail
from grader.modules.rollout.updates import batches

from .fleet import BERTH, read, refuse_foreign_images, require_services
from .seen import Seen, judge
from .shop import Again, Cut, Shop

LATER = ("2.0", "3.0")
"""Versions to which a student's own stack may have been updated by hand."""

# Its file -----------------------------------------------------------------------------------


@check(points=0.5, needs_engine=False)
def check_stack_file(submission: Path, lab: Any) -> None:
    """rollout/stack.yaml has the services front and app, images of this lab, and no files of the
    host.
    """
    file = read(submission, "stack.yaml")
    require_services(file, "front", "app")
    refuse_foreign_images(file, lab)


# What it makes ------------------------------------------------------------------------------


@check(
    points=1,
    needs=["stack_file"],
    hint="`docker stack ps --no-trunc NAME` shows each task and its error.",
)
def check_deploys(shop: Shop, stage: Any) -> None:
    """`docker stack deploy` works, and all tasks of the stack run."""
    with stage("deploy"):
        shop.deploy()
        shop.must_run()


@check(points=0.5, needs=["deploys"], hint="Write `replicas: N` under `deploy:` of app.")
def check_replicas(shop: Shop, variant: dict[str, Any]) -> None:
    """app has your number of tasks, all of version 1.0."""
    wanted = variant["app_replicas"]
    images = [task.image for task in shop.running("app")]
    if len(images) == wanted and shop.version in LATER:
        cannot_show(f"app was updated to {shop.version}; it has its {wanted} tasks.")
    if images != ["drydock/demo:1.0"] * wanted:
        fail(
            "There are not that many tasks of version 1.0.",
            expected=f"{wanted} tasks of drydock/demo:1.0",
            actual=", ".join(f"{images.count(i)} of {i}" for i in sorted(set(images))) or "none",
        )


@check(
    points=0.5,
    needs=["deploys"],
    hint="Under `deploy:` of app, write `placement:` with a list `constraints:` that has a line "
    "`- node.labels.NAME == VALUE`.",
)
def check_placement(shop: Shop, variant: dict[str, Any]) -> None:
    """The tasks of app run only on nodes that have your berth label."""
    berths = {node.name: node.labels.get(BERTH) for node in shop.swarm.nodes()}
    astray = [t for t in shop.running("app") if berths.get(t.node) != variant["app_berth"]]
    if astray:
        where = " and ".join(sorted({task.node for task in astray}))
        fail(
            f"Tasks of app run on {where}, without your berth label.",
            expected=f"tasks on nodes with {BERTH}={variant['app_berth']} only",
            actual="; ".join(task.in_words for task in astray),
        )


@check(
    points=0.5,
    needs=["deploys"],
    hint='Write a `healthcheck:` with `test: ["CMD", "curl", "--fail", "http://127.0.0.1/health"]`'
    " and an `interval:`.",
)
def check_health(shop: Shop) -> None:
    """Each task of app has a health check, and is healthy."""
    for task, container in shop.containers("app"):
        if not container.healthcheck:
            fail("The tasks of app have no health check.", actual=f"{task.in_words}, unchecked")
        if container.health != "healthy":
            fail("A task of app is not healthy.", actual=f"{task.in_words}, {container.health}")


@check(points=0.5, needs=["deploys"], hint="Write `mode: global` under `deploy:` of front.")
def check_front_everywhere(shop: Shop) -> None:
    """front runs on every node, once."""
    found = sorted(task.node for task in shop.running("front"))
    wanted = sorted(node.name for node in shop.fleet.busy())
    if found != wanted:
        fail(
            "front does not run once on each node.",
            expected=", ".join(wanted),
            actual=", ".join(found) or "no running task",
        )


@check(
    points=1,
    needs=["deploys"],
    hint="Write the port in the long form: target: 80, published: your port, mode: host.",
)
def check_front_port(shop: Shop) -> None:
    """On every node your port leads to that node's own front (host mode), and through it to app."""
    modes = {p.mode for p in shop.one("front").ports if p.published == shop.port}
    if modes != {"host"}:
        fail(
            f"Port {shop.port} is not published in host mode.",
            expected=f"{shop.port} → 80/tcp, host mode",
            actual=shop.ports_in_words("front"),
        )
    wanted = f"version {shop.version} "
    for node in shop.fleet.busy():
        last: list[Any] = [None]

        def answers(node: Any = node, last: list[Any] = last) -> bool:
            last[0] = shop.visit(node, shop.port)
            return bool(last[0] and last[0].ok and wanted in last[0].text)

        if not shop.wait(answers, 15, every=0.3):
            fail(
                f"{node.name} does not show app at port {shop.port}.",
                expected=f"{wanted}host …",
                actual=f"status {last[0].status}: {last[0].text.strip()[:200]}"
                if last[0]
                else "no answer",
                hint="Check that front.conf is at /etc/nginx/conf.d/default.conf and that front "
                "is in a network with app.",
                log=shop.transcript(),
            )


@check(
    points=1,
    needs=["deploys"],
    hint="List the networks of each service under its `networks:`.",
)
def check_networks(shop: Shop, variant: dict[str, Any]) -> None:
    """front is in both of your networks, app in the back network only."""
    front = shop.network(variant["rollout_front_network"])
    back = shop.network(variant["rollout_back_network"])
    for name, wanted in (("front", {front, back}), ("app", {back})):
        for task, container in shop.containers(name):
            found = container.networks.keys() - {"ingress", "docker_gwbridge"}
            if found != wanted:
                fail(
                    f"{name} is in the wrong networks.",
                    expected=", ".join(sorted(wanted)),
                    actual=f"{task.in_words}: {', '.join(sorted(found)) or 'no network'}",
                )


@check(points=0.5, needs=["deploys"])
def check_unchanged(again: Again) -> None:
    """Deploying the same file again changes nothing."""
    if again.said:
        fail("The second `docker stack deploy` does not work.", actual=again.said)
    if again.changed or again.replaced:
        fail(
            "The second `docker stack deploy` changes something.",
            expected="the same services and the same tasks",
            actual=", ".join({*again.changed, *again.replaced}),
        )


# The update to 2.0 --------------------------------------------------------------------------


@check(points=1, needs=["deploys", "unchanged"])
def check_updates(updated: Seen) -> None:
    """An update to 2.0 ends with all tasks on 2.0."""
    judge(updated, "final", "The update did not finish.", updated.state)


@check(
    points=1,
    needs=["updates"],
    hint="Under `deploy:` of app, write `update_config:` with `parallelism:`.",
)
def check_update_parallelism(updated: Seen) -> None:
    """The update never replaces more tasks at a time than your parallelism."""
    judge(updated, "parallelism", "Too many tasks were updated at a time.")


@check(points=1, needs=["updates"], hint="Write `delay:` under `update_config:`, with a unit: 2s.")
def check_update_delay(updated: Seen) -> None:
    """Between two batches at least your delay passes."""
    if len(batches(updated.trace)) == 1:
        fail(
            "All tasks were updated at once, without a pause.",
            expected=updated.proofs["delay"].promise,
            actual=updated.proofs["parallelism"].found,
        )
    judge(updated, "delay", "The next batch came too soon.")


@check(points=1, needs=["updates"], hint="Write `order:` under `update_config:`.")
def check_update_order(updated: Seen) -> None:
    """Old tasks stop and new tasks start in your update order."""
    judge(updated, "order", "The update used the other order.")


@check(
    points=0.5,
    needs=["updates"],
    hint="With start-first all tasks stay healthy; with stop-first as many are missing as are "
    "updated at a time.",
)
def check_update_available(updated: Seen) -> None:
    """During the update there are never fewer healthy tasks than allowed."""
    judge(updated, "available", "There were too few healthy tasks.")


@check(
    points=1,
    needs=["updates", "front_port"],
    hint="A running task must be able to answer, and the health check must test this. Do not "
    "change front.conf.",
)
def check_update_requests(updated: Seen) -> None:
    """During the update no request fails, on any node."""
    judge(updated, "requests", "Requests failed during the update.")


# The update that fails ----------------------------------------------------------------------


@check(
    points=1.5,
    needs=["updates"],
    hint="Write `failure_action: rollback` under `update_config:`. The swarm must also notice the "
    "failure: the health check must fail when /health answers 503.",
)
def check_rolls_back(spoilt: Seen) -> None:
    """The swarm itself rolls back an update to 3.0, which is never healthy."""
    judge(spoilt, "rollback", "The swarm did not roll back by itself.", spoilt.state)
    judge(spoilt, "final", "After the rollback something is different.", spoilt.state)


@check(points=1, needs=["rolls_back", "front_port"])
def check_rollback_requests(spoilt: Seen) -> None:
    """Visitors do not notice the failed update: healthy tasks answer all requests."""
    judge(spoilt, "requests", "Requests failed during the failed update.")
    judge(spoilt, "available", "There were too few healthy tasks.")
    shown = {r.version for requests in spoilt.trace.requests for r in requests.sent} - {"", "2.0"}
    if shown:
        fail("Visitors saw the broken version.", expected="version 2.0", actual=", ".join(shown))


# A lost node --------------------------------------------------------------------------------


@check(
    points=1,
    needs=["deploys", "unchanged"],
    hint="The constraints must allow a second node for the tasks, and `restart_policy:` must "
    "allow a restart.",
)
def check_reschedules(cut: Cut) -> None:
    """When a worker is cut off, its tasks run again on other nodes."""
    if not cut.lost:
        fail(f"No task of app ran on {cut.node}.", actual=cut.told)
    judge(cut.seen, "failover", "The lost tasks did not run elsewhere in time.", cut.told)


@check(points=0.5, needs=["reschedules"])
def check_returns(cut: Cut, shop: Shop) -> None:
    """When the worker is back, all tasks keep running, and there is none too many."""
    count = shop.one("app").replicas or 0
    if not cut.left_alone or len(shop.running("app")) != count:
        fail(
            "After the worker's return something is different.",
            expected=f"the same {count} running tasks",
            actual=cut.told,
        )


# The end ------------------------------------------------------------------------------------


@check(points=0.5, needs=["deploys"])
def check_removes(shop: Shop, cut: Cut, stage: Any) -> None:
    """`docker stack rm` leaves nothing: no service, config, network or container on any node."""
    with stage("remove"):
        left = shop.clear()
    if left:
        fail("Parts of the stack are left.", expected="nothing", actual="; ".join(left[:8]))
