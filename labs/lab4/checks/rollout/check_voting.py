"""Checks of voting.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grader.checks import cannot_show, check, fail

from .fleet import DEPLOY, read, refuse_foreign_images, require_services
from .voting import SERVICES, TRAVEL, Voting


@check(points=0.5, needs_engine=False)
def check_voting_file(submission: Path, lab: Any) -> None:
    """rollout/voting.yaml has the services vote, redis, worker, db and result, with images of this
    lab, and no files of the host.
    """
    file = read(submission, "voting.yaml")
    require_services(file, *SERVICES)
    refuse_foreign_images(file, lab)


@check(
    points=1,
    needs=["voting_file"],
    hint="`docker stack ps --no-trunc NAME` shows each task and its error; `docker service logs "
    "SERVICE` shows its program's output.",
)
def check_voting_up(voting: Voting, stage: Any) -> None:
    """All five services of the voting application run."""
    with stage("voting"):
        voting.deploy()
        voting.must_run()


@check(
    points=1,
    needs=["voting_up"],
    hint="Under `deploy:` of db, write `placement:` with a constraint on `node.role`.",
)
def check_voting_db(voting: Voting) -> None:
    """The database has a constraint to a manager, and runs there."""
    service = voting.stack.service("db")
    placement = service.spec["TaskTemplate"].get("Placement") if service else None
    said = [str(c).replace(" ", "") for c in (placement or {}).get("Constraints") or []]
    roles = {node.name: node.role for node in voting.swarm.nodes()}
    wanted = {"node.role==manager", "node.role!=worker"}
    wanted |= {f"node.hostname=={name}" for name, role in roles.items() if role == "manager"}
    if not wanted & set(said):
        fail(
            "The database has no constraint to a manager: next time it may run on a worker.",
            expected="a constraint node.role == manager",
            actual=", ".join(said) or "no constraints",
        )
    where = voting.place("db").name
    if roles.get(where) != "manager":
        fail("The database does not run on a manager.", actual=f"it runs on {where}")


@check(
    points=0.5,
    needs=["voting_up"],
    hint="OPTION_A and OPTION_B of vote and of result are the two options.",
)
def check_voting_pages(voting: Voting) -> None:
    """vote and result answer on your ports and name your two options."""
    for name in ("vote", "result"):
        text = voting.answers(name).text
        missing = [option for option in voting.options.values() if option not in text]
        if missing:
            fail(
                f"The page of {name} does not name {' and '.join(missing)}.",
                expected=" and ".join(voting.options.values()),
                actual=text.strip()[:400],
            )


@check(
    points=1,
    needs=["voting_up"],
    hint="The log below has the output of each service. Check that the password is the same in "
    "db, worker and result, and that all of them are in one network.",
)
def check_voting_travels(voting: Voting) -> None:
    """A vote travels from vote through redis, worker and db to result."""
    if voting.read_only:
        cannot_show(f"The grader does not vote in your own application. {DEPLOY}")
    voting.answers("result", "/json")
    before = voting.result() or {}
    for option in "aab":
        voting.vote(option)
    wanted = {"a": before.get("a", 0) + 2, "b": before.get("b", 0) + 1}
    if not voting.wait(lambda: voting.result() == wanted, TRAVEL, every=0.3):
        fail(
            "Votes do not arrive at result.",
            expected=f"{wanted} after two votes for a and one for b",
            actual=str(voting.result() or "result shows no votes"),
            log=voting.logs(),
        )
