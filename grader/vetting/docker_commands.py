"""Which docker commands and flags the swarm exercise is about, as a table (see dockercli).

A command's flags are written as they are typed: `-q --quiet` is a switch with a short form,
`--name=service` takes a value of the kind `service`. Kinds that are looked at: `service` (a name),
`image`, `count` (of tasks), `address` (of a node), `network`, `mode`, `command` (run in a task),
`label`.
"""

from __future__ import annotations

from grader.vetting.commandline import Form, Table
from grader.vetting.commandline import flags as _flags

_LISTED = "-f --filter=text --format=text -q --quiet"
_LOOK = "-f --format=text"
_TASKS = "--no-resolve --no-trunc"
_LOGS = "--details --since=text --until=text -n --tail=text -t --timestamps"

_ADDRESSES = "--advertise-addr=address --listen-addr=address --data-path-addr=address"
_SWARM = "--task-history-limit=text --dispatcher-heartbeat=text --cert-expiry=text"

_RUN = """
    --replicas=count --entrypoint=command --hostname=text --init -t --tty -u --user=text
    -w --workdir=text --read-only --stop-grace-period=text --stop-signal=text
    --limit-cpu=text --limit-memory=text --limit-pids=text --reserve-cpu=text --reserve-memory=text
    --replicas-max-per-node=text --endpoint-mode=text --no-resolve-image
    --restart-condition=text --restart-delay=text --restart-max-attempts=text --restart-window=text
    --no-healthcheck --health-cmd=command --health-interval=text --health-retries=text
    --health-start-period=text --health-start-interval=text --health-timeout=text
    --update-parallelism=text --update-delay=text --update-order=text --update-monitor=text
    --update-failure-action=text --update-max-failure-ratio=text
    --rollback-parallelism=text --rollback-delay=text --rollback-order=text --rollback-monitor=text
    --rollback-failure-action=text --rollback-max-failure-ratio=text
    -d --detach -q --quiet
"""
_CREATE = """
    --name=service --mode=mode -p --publish=ports -e --env=text -l --label=label
    --container-label=label --constraint=text --placement-pref=text --network=network
"""
_UPDATE = """
    --image=image --args=command --force --rollback --publish-add=ports --publish-rm=text
    --env-add=text --env-rm=text --label-add=label --label-rm=text
    --container-label-add=label --container-label-rm=text --constraint-add=text
    --constraint-rm=text --placement-pref-add=text --placement-pref-rm=text
    --network-add=network --network-rm=text
"""
_PS = "-a --all -n --last=text -l --latest --no-trunc -s --size"

FORMS: dict[str, Form] = {
    "swarm init": Form(
        _flags(
            _ADDRESSES,
            _SWARM,
            "--data-path-port=text --default-addr-pool=text --availability=text",
            "--default-addr-pool-mask-length=text --force-new-cluster",
        ),
        "none",
    ),
    "swarm join": Form(_flags(_ADDRESSES, "--token=token --availability=text"), "address"),
    "swarm join-token": Form(_flags("-q --quiet --rotate")),
    "swarm leave": Form(_flags("-f --force"), "none"),
    "swarm update": Form(_flags(_SWARM), "none"),
    "node ls": Form(_flags(_LISTED), "none"),
    "node ps": Form(_flags(_LISTED, _TASKS)),
    "node inspect": Form(_flags(_LOOK, "--pretty")),
    "node promote": Form(_flags()),
    "node demote": Form(_flags()),
    "node update": Form(
        _flags("--availability=text --role=text --label-add=label --label-rm=text")
    ),
    "node rm": Form(_flags("-f --force")),
    "service create": Form(_flags(_RUN, _CREATE), "image", waiting=True),
    "service update": Form(_flags(_RUN, _UPDATE), "service", waiting=True),
    "service scale": Form(_flags("-d --detach"), "scale", waiting=True),
    "service rollback": Form(_flags("-d --detach -q --quiet"), "service", waiting=True),
    "service ls": Form(_flags(_LISTED), "none"),
    "service ps": Form(_flags(_LISTED, _TASKS)),
    "service inspect": Form(_flags(_LOOK, "--pretty")),
    "service logs": Form(_flags(_LOGS, _TASKS, "--no-task-ids --raw")),
    "service rm": Form(_flags(), "service"),
    "network ls": Form(_flags(_LISTED, "--no-trunc"), "none"),
    "network inspect": Form(_flags(_LOOK, "-v --verbose")),
    "network create": Form(
        _flags("-d --driver=text --attachable --internal --label=label --subnet=text"), "service"
    ),
    "network rm": Form(_flags("-f --force"), "service"),
    "ps": Form(_flags(_LISTED, _PS), "none"),
    "container ls": Form(_flags(_LISTED, _PS), "none"),
    "logs": Form(_flags(_LOGS)),
    "inspect": Form(_flags(_LOOK, "-s --size --type=text")),
    "images": Form(_flags(_LISTED, "-a --all --digests --no-trunc")),
    "image ls": Form(_flags(_LISTED, "-a --all --digests --no-trunc")),
    "info": Form(_flags(_LOOK), "none"),
    "version": Form(_flags(_LOOK), "none"),
}
FORMS.update(
    {
        "node list": FORMS["node ls"],
        "node remove": FORMS["node rm"],
        "service list": FORMS["service ls"],
        "service remove": FORMS["service rm"],
        "network list": FORMS["network ls"],
        "network remove": FORMS["network rm"],
        "container ps": FORMS["container ls"],
        "container list": FORMS["container ls"],
        "container logs": FORMS["logs"],
        "container inspect": FORMS["inspect"],
        "image list": FORMS["image ls"],
    }
)

INSTEAD: dict[str, str] = {
    "run": "A swarm starts containers itself: `docker service create` sets what runs.",
    "create": "A swarm starts containers itself: `docker service create` sets what runs.",
    "start": "A swarm starts containers itself: `docker service scale` sets how many.",
    "stop": "A swarm would start another one: `docker service scale` or `docker service rm` ends"
    " tasks.",
    "kill": "A swarm would start another one: `docker service scale` or `docker service rm` ends"
    " tasks.",
    "rm": "A swarm would start another one: `docker service rm` removes a service.",
    "exec": "This exercise runs nothing inside containers; `docker service logs` shows their "
    "output.",
    "stack": "Stacks are another exercise.",
    "compose": "Compose is another exercise; here you create services one by one.",
    "machine": "The three machines exist already; write the node before the $.",
    "pull": "Every node has the lab's images already.",
    "build": "Every node has the lab's images already.",
    "login": "Every node has the lab's images already.",
}
"""What to do instead of commands that the exercise is not about."""

TABLE = Table(
    FORMS,
    INSTEAD,
    otherwise="Use `docker swarm …`, `docker node …`, `docker service …` and commands that only "
    "show something, such as `docker ps`.",
    no_engine="Leave that out: the node before the $ says where the command runs.",
)

NOT_THESE: dict[str, str] = {
    "--follow": "It never ends: leave it out, and use --tail to see the last lines.",
    "--mount": "Tasks of this exercise get nothing of their node.",
    "--volume": "Tasks of this exercise get nothing of their node.",
    "-v": "Tasks of this exercise get nothing of their node.",
    "--privileged": "Tasks need no rights over their node.",
    "--cap-add": "Tasks need no rights over their node.",
    "--autolock": "The grader cannot look at a locked swarm.",
}
"""Why flags that there are, or that one may look for, are not taken."""
