"""What a compose file may contain about builds, and forms of values that occur in many places.

See grader.vetting.model.
"""

from __future__ import annotations

from grader.vetting import mounts, rules
from grader.vetting.allowlist import ANY, Forbidden, Form, Spec

ENGINE_OWN = "Leave it out: the engine's own setting is enough."
VALUES = Form(item=ANY, names=ANY, text=ANY)
"""Plain values, as a list or a mapping: `environment` and its like."""
WORDS = Form(text=ANY, item=ANY)
LABELS = Form(item=ANY, names=ANY, rule=rules.labels)
HOSTS = Form(text=ANY, item=ANY, names=Form(text=ANY, item=ANY), rule=rules.addresses)
LIMITS = Form(names=Form(text=ANY, keys={"soft": ANY, "hard": ANY}))
GRANTED = Form(
    item=Form(text=ANY, keys={"source": ANY, "target": ANY, "uid": ANY, "gid": ANY, "mode": ANY})
)
"""Configs or secrets by the names under which the file defines them."""

BUILD: dict[str, Spec] = {
    "context": mounts.path_inside,
    "dockerfile": ANY,  # relative to the context: grader.vetting.compose reads it there
    "dockerfile_inline": ANY,
    "args": Form(item=ANY, names=ANY, rule=rules.build_arguments),
    "labels": LABELS,
    "target": ANY,
    "tags": Form(item=ANY),
    "no_cache": ANY,
    "shm_size": ANY,
    "ulimits": LIMITS,
    "extra_hosts": HOSTS,
    "secrets": GRANTED,
    "platforms": Form(
        item=rules.matches(
            r"linux/[a-z0-9/]+", "`{}` is no platform of this lab.", "Leave `platforms:` out."
        )
    ),
    "provenance": rules.matches(
        r"true|false|mode=(min|max)", "`{}` is not used here.", "Leave `provenance:` out."
    ),
    "sbom": rules.matches(
        r"true|false", "`{}` runs an image that this lab does not have.", "Leave `sbom:` out."
    ),
    "network": rules.one_of(
        "default",
        "none",
        what="The build runs in the network `{}`.",
        remedy="Leave `network:` out: a build needs no other network.",
    ),
    "isolation": rules.one_of(
        "default", what="`{}` is not an isolation of Linux.", remedy="Leave `isolation:` out."
    ),
    "privileged": rules.off("`privileged` gives the build the rights of the machine."),
    "pull": rules.off(
        "`pull` fetches the images again, which cannot be done here.",
        "Leave `pull:` out: the lab's images are there.",
    ),
    "entitlements": Forbidden("asks for rights over the machine.", "Leave it out."),
    "ssh": Forbidden(
        "uses the SSH keys of the user who builds.", "Copy what you need into the folder."
    ),
    "additional_contexts": Forbidden(
        "takes files or images from other places.",
        "Put what it needs into the folder that `context:` names.",
    ),
    "cache_from": Forbidden(
        "takes layers from another place.", "Leave it out: the engine has a cache of its own."
    ),
    "cache_to": Forbidden("writes layers to another place.", "Leave it out."),
}
