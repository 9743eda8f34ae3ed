"""What a compose file may contain: each key of the Compose Specification, allowed or refused.

The keys are those of https://github.com/compose-spec/compose-go/blob/main/schema/compose-spec.json;
a test holds this table against them, so that none is left undecided. `ANY` stands where nothing
can reach out of the container. Refused is what reads files that are not the submission's, runs
programs beside the containers, takes the machine's own namespaces, devices or rights, or depends
on things that the file does not make. docs/security.md says why, and is tested against this.
"""

from __future__ import annotations

from collections.abc import Mapping

from grader.vetting import amount, mounts, rules
from grader.vetting.allowlist import ANY, Forbidden, Form, Spec
from grader.vetting.model_build import ENGINE_OWN, LABELS
from grader.vetting.model_service import DEPLOY, HEALTHCHECK, SERVICE

EXTERNAL = rules.off(
    "`external` expects that it exists before the application.",
    "Remove `external:`; Compose then creates it.",
)

NETWORK: dict[str, Spec] = {
    "name": rules.network_name,
    "driver": rules.one_of(
        "bridge",
        "overlay",
        what="The driver `{}` puts containers into a network of the machine.",
        remedy="Leave `driver:` out; containers then get their own network.",
    ),
    "driver_opts": Form(names=ANY, rule=rules.network_options),
    "ipam": Form(
        keys={
            "driver": rules.one_of(
                "default", what="The driver `{}` is not Docker's own.", remedy="Leave it out."
            ),
            "config": Form(
                item=Form(
                    keys={
                        "subnet": ANY,
                        "ip_range": ANY,
                        "gateway": ANY,
                        "aux_addresses": Form(names=ANY),
                    }
                )
            ),
            "options": Forbidden("sets options of an address driver.", ENGINE_OWN),
        }
    ),
    "external": EXTERNAL,
    "internal": ANY,
    "attachable": ANY,
    "enable_ipv4": ANY,
    "enable_ipv6": ANY,
    "labels": LABELS,
}

VOLUME: dict[str, Spec] = {
    "name": mounts.volume_name,
    "driver": rules.one_of(
        "local", what="Volumes of this lab are local ones, not `{}`.", remedy="Remove `driver:`."
    ),
    "driver_opts": Form(names=ANY, rule=mounts.tmpfs_only),
    "external": EXTERNAL,
    "labels": LABELS,
}

SECRET: dict[str, Spec] = {
    "name": ANY,
    "file": mounts.file_inside,
    "environment": rules.own_variable,
    "external": EXTERNAL,
    "labels": LABELS,
    "driver": Forbidden(
        "gets the secret from a program other than Docker.", "Write `file: ./NAME`."
    ),
    "driver_opts": Forbidden(
        "gets the secret from a program other than Docker.", "Write `file: ./NAME`."
    ),
    "template_driver": Forbidden("makes the content a template.", "Write the full content."),
}

CONFIG: dict[str, Spec] = {
    "name": ANY,
    "file": mounts.file_inside,
    "content": ANY,
    "environment": rules.own_variable,
    "external": EXTERNAL,
    "labels": LABELS,
    "template_driver": Forbidden("makes the content a template.", "Write the full content."),
}

TOP: dict[str, Spec] = {
    "version": ANY,
    "name": ANY,
    "services": Form(names=Form(keys=SERVICE), rule=amount.few_services),
    "networks": Form(names=Form(keys=NETWORK)),
    "volumes": Form(names=Form(keys=VOLUME)),
    "secrets": Form(names=Form(keys=SECRET)),
    "configs": Form(names=Form(keys=CONFIG)),
    "include": Forbidden(
        "takes services from other places, possibly from files of the machine.",
        "Write all services into this one file.",
    ),
    "models": Forbidden("asks for a language model.", "Leave it out: there is none here."),
}

MODEL = Form(keys=TOP)

ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(DEPLOY, "below a service's `deploy:`"),
    **dict.fromkeys(HEALTHCHECK, "below a service's `healthcheck:`"),
    **{key: "below a service's name" for key in SERVICE if key not in TOP},
    **dict.fromkeys(("services", "networks", "volumes", "version"), "at the file's left edge"),
}
"""Where keys belong, for those who wrote them one level too high or too deep."""
