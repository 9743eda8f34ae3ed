"""What is graded of stack.yaml, in the order in which one would try it by hand."""

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
    """`docker stack deploy` works, and all tasks of the stack come to run."""
    with stage("deploy"):
        shop.deploy()
        shop.must_run()


@check(points=0.5, needs=["deploys"], hint="Say `replicas: N` under `deploy:` of app.")
def check_replicas(shop: Shop, variant: dict[str, Any]) -> None:
    """app has as many tasks as you were asked for, and they are of version 1.0."""
    wanted = variant["app_replicas"]
    images = [task.image for task in shop.running("app")]
    if len(images) == wanted and shop.version in LATER:
        cannot_show(
            f"app was updated to {shop.version}; it has the {wanted} tasks that were asked for."
        )
    if images != ["drydock/demo:1.0"] * wanted:
        fail(
            "There are not that many tasks of version 1.0.",
            expected=f"{wanted} tasks of drydock/demo:1.0",
            actual=", ".join(f"{images.count(i)} of {i}" for i in sorted(set(images))) or "none",
        )


@check(
    points=0.5,
    needs=["deploys"],
    hint="Under `deploy:` of app, `placement:` has a list `constraints:` with a line"
    " `- node.labels.NAME == VALUE`.",
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
    hint='A `healthcheck:` has `test: ["CMD", "curl", "--fail", "http://127.0.0.1/health"]` and an'
    " `interval:`.",
)
def check_health(shop: Shop) -> None:
    """Each task of app has a health check, and is healthy."""
    for task, container in shop.containers("app"):
        if not container.healthcheck:
            fail("The tasks of app have no health check.", actual=f"{task.in_words}, unchecked")
        if container.health != "healthy":
            fail("A task of app is not healthy.", actual=f"{task.in_words}, {container.health}")


@check(points=0.5, needs=["deploys"], hint="Say `mode: global` under `deploy:` of front.")
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
    """At every node your port leads to that node's own front (host mode), and by it to app."""
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
                hint="Is front.conf at /etc/nginx/conf.d/default.conf, and is front in a network"
                " with app?",
                log=shop.transcript(),
            )


@check(
    points=1,
    needs=["deploys"],
    hint="List under `networks:` of each service which ones it is in.",
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
                    f"{name} is not in the networks that it should be in.",
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
    judge(updated, "final", "The update did not come to its end.", updated.state)


@check(
    points=1,
    needs=["updates"],
    hint="Under `deploy:` of app, `update_config:` has a `parallelism:`.",
)
def check_update_parallelism(updated: Seen) -> None:
    """At no time were more tasks being updated than you were asked for."""
    judge(updated, "parallelism", "Too many tasks were updated at a time.")


@check(points=1, needs=["updates"], hint="`update_config:` has a `delay:`, with a unit: 2s.")
def check_update_delay(updated: Seen) -> None:
    """Between one batch and the next at least your delay passes."""
    if len(batches(updated.trace)) == 1:
        fail(
            "All tasks were updated at once: there was no pause.",
            expected=updated.proofs["delay"].promise,
            actual=updated.proofs["parallelism"].found,
        )
    judge(updated, "delay", "The next batch came too soon.")


@check(points=1, needs=["updates"], hint="`update_config:` has an `order:`.")
def check_update_order(updated: Seen) -> None:
    """Old and new tasks take turns in the order that you were asked for."""
    judge(updated, "order", "Tasks took turns in the other order.")


@check(
    points=0.5,
    needs=["updates"],
    hint="start-first keeps all of them; stop-first misses as many as are updated at a time.",
)
def check_update_available(updated: Seen) -> None:
    """During the update there were never fewer healthy tasks than allowed."""
    judge(updated, "available", "There were too few healthy tasks.")


@check(
    points=1,
    needs=["updates", "front_port"],
    hint="A task that counts as running must be able to answer: that is what the health check"
    " finds out. Leave front.conf as it was given.",
)
def check_update_requests(updated: Seen) -> None:
    """During the update not one request failed, at any node."""
    judge(updated, "requests", "Requests failed during the update.")


# The update that fails ----------------------------------------------------------------------


@check(
    points=1.5,
    needs=["updates"],
    hint="`failure_action: rollback` under `update_config:` lets the swarm go back; but it has to"
    " notice: a health check must fail where /health says 503.",
)
def check_rolls_back(spoilt: Seen) -> None:
    """An update to 3.0, which is never healthy, is taken back by the swarm itself."""
    judge(spoilt, "rollback", "The swarm did not go back by itself.", spoilt.state)
    judge(spoilt, "final", "After the rollback not all is as it was.", spoilt.state)


@check(points=1, needs=["rolls_back", "front_port"])
def check_rollback_requests(spoilt: Seen) -> None:
    """Visitors notice nothing of the failed update: all requests are answered by healthy tasks."""
    judge(spoilt, "requests", "Requests failed during the update that failed.")
    judge(spoilt, "available", "There were too few healthy tasks.")
    shown = {r.version for requests in spoilt.trace.requests for r in requests.sent} - {"", "2.0"}
    if shown:
        fail("Visitors saw the broken version.", expected="version 2.0", actual=", ".join(shown))


# A lost node --------------------------------------------------------------------------------


@check(
    points=1,
    needs=["deploys", "unchanged"],
    hint="The constraints must leave a second node for the tasks, and `restart_policy:` must not"
    " forbid a new start.",
)
def check_reschedules(cut: Cut) -> None:
    """When a worker is cut off, its tasks run again on other nodes."""
    if not cut.lost:
        fail(f"No task of app ran on {cut.node}.", actual=cut.told)
    judge(cut.seen, "failover", "The lost tasks did not run elsewhere in time.", cut.told)


@check(points=0.5, needs=["reschedules"])
def check_returns(cut: Cut, shop: Shop) -> None:
    """When the worker is back, all tasks run on, and none is one too many."""
    count = shop.one("app").replicas or 0
    if not cut.left_alone or len(shop.running("app")) != count:
        fail(
            "After the worker's return not all is as it should be.",
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
        fail("Something of the stack is left.", expected="nothing", actual="; ".join(left[:8]))
