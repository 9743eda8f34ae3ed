"""What a compose file may say: each key of the Compose Specification, allowed or refused.

The keys are those of https://github.com/compose-spec/compose-go/blob/main/schema/compose-spec.json;
a test holds this table against them, so that none is left undecided. `ANY` stands where nothing
can reach out of the container. Refused is what reads files that are not the submission's, runs
programs beside the containers, takes the machine's own namespaces, devices or rights, or depends
on things that the file does not make. docs/security.md says why, and is tested against this.
"""

from __future__ import annotations

from collections.abc import Mapping

from grader.vetting import rules
from grader.vetting.allowlist import ANY, Form, Refusal, Spec

_ENGINE_OWN = "Leave it out: the engine's own setting does."
_NO_DEVICES = Refusal(
    "gives a container devices of the machine.", "Leave it out: this lab needs none."
)

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

EXTERNAL = rules.off(
    "`external` expects that it is there before the application is.",
    "Remove `external:`: then Compose makes it.",
)

BUILD: dict[str, Spec] = {
    "context": rules.path_inside,
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
        "`pull` fetches the images anew, which cannot be done here.",
        "Leave `pull:` out: the lab's images are there.",
    ),
    "entitlements": Refusal("asks for rights over the machine.", "Leave it out."),
    "ssh": Refusal("uses SSH keys of whoever builds.", "Copy what you need into the folder."),
    "additional_contexts": Refusal(
        "takes files or images from elsewhere.",
        "Put what it needs into the folder that `context:` names.",
    ),
    "cache_from": Refusal(
        "takes layers from elsewhere.", "Leave it out: the engine has a cache of its own."
    ),
    "cache_to": Refusal("writes layers elsewhere.", "Leave it out."),
}

PORT: dict[str, Spec] = {
    "name": ANY,
    "mode": ANY,
    "host_ip": ANY,
    "target": ANY,
    "published": ANY,
    "protocol": ANY,
    "app_protocol": ANY,
}

MOUNT: dict[str, Spec] = {
    "type": rules.one_of(
        "volume",
        "bind",
        "tmpfs",
        what="Mounts of the type `{}` are not used in this lab.",
        remedy="Use `type: volume`, or `bind` for a folder of yours.",
    ),
    "source": rules.mount_source,
    "target": ANY,
    "read_only": ANY,
    "consistency": ANY,
    "bind": Form(
        keys={
            "propagation": rules.one_of(
                "private",
                "rprivate",
                what="With `{}` the machine would see what the container mounts.",
                remedy="Leave `propagation:` out.",
            ),
            "create_host_path": ANY,
            "recursive": ANY,
            "selinux": ANY,
        }
    ),
    "volume": Form(keys={"nocopy": ANY, "subpath": ANY, "labels": LABELS}),
    "tmpfs": Form(keys={"size": ANY, "mode": ANY}),
    "image": Refusal("mounts an image.", "COPY what you need from it in a Dockerfile."),
}

HEALTHCHECK: dict[str, Spec] = {
    "test": WORDS,
    "interval": ANY,
    "timeout": ANY,
    "retries": ANY,
    "start_period": ANY,
    "start_interval": ANY,
    "disable": ANY,
}

_ROLLING: dict[str, Spec] = {
    "parallelism": ANY,
    "delay": ANY,
    "failure_action": ANY,
    "monitor": ANY,
    "max_failure_ratio": ANY,
    "order": ANY,
}

DEPLOY: dict[str, Spec] = {
    "mode": ANY,
    "endpoint_mode": ANY,
    "replicas": rules.replicas,
    "labels": LABELS,
    "update_config": Form(keys=_ROLLING),
    "rollback_config": Form(keys=_ROLLING),
    "restart_policy": Form(
        keys={"condition": ANY, "delay": ANY, "max_attempts": ANY, "window": ANY}
    ),
    "placement": Form(
        keys={
            "constraints": WORDS,
            "preferences": Form(item=Form(keys={"spread": ANY})),
            "max_replicas_per_node": ANY,
        }
    ),
    "resources": Form(
        keys={
            "limits": Form(keys={"cpus": ANY, "memory": ANY, "pids": ANY}),
            "reservations": Form(
                keys={
                    "cpus": ANY,
                    "memory": ANY,
                    "devices": _NO_DEVICES,
                    "generic_resources": _NO_DEVICES,
                }
            ),
        }
    ),
}

WATCH: dict[str, Spec] = {
    "path": rules.path_inside,
    "action": ANY,
    "target": ANY,
    "ignore": WORDS,
    "include": WORDS,
    "initial_sync": ANY,
    "exec": ANY,
}
"""Only `compose watch` reads it, which the grader does not run."""


SERVICE: dict[str, Spec] = {
    # What runs
    "image": ANY,  # grader.vetting.compose holds it against the lab's images
    "build": Form(text=rules.path_inside, keys=BUILD),
    "command": WORDS,
    "entrypoint": WORDS,
    "working_dir": ANY,
    "user": ANY,
    "group_add": WORDS,
    "init": ANY,
    "tty": ANY,
    "stdin_open": ANY,
    "attach": ANY,
    "platform": ANY,
    "stop_signal": ANY,
    "stop_grace_period": ANY,
    "restart": ANY,
    "scale": rules.replicas,
    "profiles": WORDS,
    "container_name": ANY,
    "pull_refresh_after": ANY,
    "pull_policy": rules.one_of(
        "missing",
        "if_not_present",
        "never",
        "build",
        what="With `{}` images are fetched anew, which cannot be done here.",
        remedy="Leave `pull_policy:` out: the lab's images are there.",
    ),
    "healthcheck": Form(keys=HEALTHCHECK),
    "depends_on": Form(
        item=ANY, names=Form(keys={"condition": ANY, "required": ANY, "restart": ANY})
    ),
    "deploy": Form(keys=DEPLOY),
    "develop": Form(keys={"watch": Form(item=Form(keys=WATCH))}),
    # What it is told
    "environment": VALUES,
    "env_file": Form(
        text=rules.path_inside,
        item=Form(
            text=rules.path_inside,
            keys={"path": rules.path_inside, "required": ANY, "format": ANY},
        ),
    ),
    "labels": LABELS,
    "annotations": LABELS,
    "configs": GRANTED,
    "secrets": GRANTED,
    # Files
    "volumes": Form(item=Form(text=rules.short_mount, keys=MOUNT)),
    "tmpfs": WORDS,
    "read_only": ANY,
    "shm_size": ANY,
    "storage_opt": Form(keys={"size": ANY}),
    "volumes_from": Form(item=rules.volumes_from),
    # Network
    "ports": Form(item=Form(text=ANY, keys=PORT)),
    "expose": WORDS,
    "networks": Form(
        item=ANY,
        names=Form(
            keys={
                "aliases": WORDS,
                "ipv4_address": ANY,
                "ipv6_address": ANY,
                "link_local_ips": ANY,
                "mac_address": ANY,
                "priority": ANY,
                "gw_priority": ANY,
                "interface_name": ANY,
                "driver_opts": Refusal("sets options of the network's driver.", _ENGINE_OWN),
            }
        ),
    ),
    "links": WORDS,
    "hostname": ANY,
    "domainname": ANY,
    "mac_address": ANY,
    "dns": Form(text=ANY, item=ANY, rule=rules.addresses),
    "dns_opt": WORDS,
    "dns_search": WORDS,
    "extra_hosts": HOSTS,
    "network_mode": rules.namespace("network", "bridge", "none"),
    # Limits
    "cpus": ANY,
    "cpuset": ANY,
    "cpu_count": ANY,
    "cpu_percent": ANY,
    "cpu_shares": ANY,
    "cpu_quota": ANY,
    "cpu_period": ANY,
    "cpu_rt_period": ANY,
    "cpu_rt_runtime": ANY,
    "mem_limit": ANY,
    "mem_reservation": ANY,
    "mem_swappiness": ANY,
    "memswap_limit": ANY,
    "oom_score_adj": ANY,
    "oom_kill_disable": rules.off(
        "`oom_kill_disable` lets a container keep memory that it may not have."
    ),
    "pids_limit": ANY,
    "ulimits": LIMITS,
    "logging": Form(keys={"driver": rules.log_driver, "options": Form(names=ANY)}),
    # Rights
    "cap_drop": WORDS,
    "cap_add": Form(item=rules.capability),
    "security_opt": Form(item=rules.security_option),
    "privileged": rules.off(
        "`privileged` gives the container the rights of the machine.",
        "Leave it out: nothing in this lab needs it.",
    ),
    "sysctls": Form(item=ANY, names=ANY, rule=rules.sysctls),
    "pid": rules.namespace("process table"),
    "ipc": rules.namespace("shared memory", "private", "shareable", "none"),
    "uts": rules.namespace("host name"),
    "userns_mode": rules.namespace("table of users"),
    "cgroup": rules.one_of(
        "private",
        what="`{}` shows the container the limits of the machine.",
        remedy="Leave `cgroup:` out.",
    ),
    "runtime": rules.one_of(
        "runc", what="The runtime `{}` is not the engine's own.", remedy="Leave `runtime:` out."
    ),
    "isolation": rules.one_of(
        "default", what="`{}` is not an isolation of Linux.", remedy="Leave `isolation:` out."
    ),
    "use_api_socket": rules.off(
        "`use_api_socket` gives the container the Docker engine's own socket: who has it rules"
        " the machine."
    ),
    # Never
    "cgroup_parent": Refusal(
        "puts the container under other limits than the sandbox's.", "Leave it out."
    ),
    "devices": _NO_DEVICES,
    "device_cgroup_rules": _NO_DEVICES,
    "gpus": _NO_DEVICES,
    "blkio_config": Refusal(
        "names devices of the machine.", "Leave it out: no disk is scarce here."
    ),
    "credential_spec": Refusal("reads credentials of Windows.", "Leave it out."),
    "extends": Refusal(
        "takes a service from elsewhere, a file of the machine at worst.",
        "Write the keys out, or use a YAML anchor.",
    ),
    "external_links": Refusal(
        "links to containers that this file does not make.",
        "Make them services of this file; services find each other by their names.",
    ),
    "label_file": Refusal("reads labels from a file.", "Write them below `labels:`."),
    "models": Refusal("asks for a language model.", "Leave it out: there is none here."),
    "post_start": Refusal(
        "runs a command in the container after its start.",
        "Do it in `command:` or in the image.",
    ),
    "pre_stop": Refusal(
        "runs a command in the container before its end.",
        "Let the program do it when it gets its `stop_signal`.",
    ),
    "provider": Refusal(
        "makes Compose run a program of the machine.",
        "Services of this lab are containers: say `image:` or `build:`.",
    ),
}

NETWORK: dict[str, Spec] = {
    "name": rules.network_name,
    "driver": rules.one_of(
        "bridge",
        "overlay",
        what="The driver `{}` puts containers into a network of the machine.",
        remedy="Leave `driver:` out: then they get one of their own.",
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
            "options": Refusal("sets options of a driver for addresses.", _ENGINE_OWN),
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
    "name": rules.volume_name,
    "driver": rules.one_of(
        "local", what="Volumes of this lab are local ones, not `{}`.", remedy="Remove `driver:`."
    ),
    "driver_opts": Form(names=ANY, rule=rules.tmpfs_only),
    "external": EXTERNAL,
    "labels": LABELS,
}

SECRET: dict[str, Spec] = {
    "name": ANY,
    "file": rules.file_inside,
    "environment": rules.own_variable,
    "external": EXTERNAL,
    "labels": LABELS,
    "driver": Refusal("asks a program beside Docker for the secret.", "Say `file: ./NAME`."),
    "driver_opts": Refusal("asks a program beside Docker for the secret.", "Say `file: ./NAME`."),
    "template_driver": Refusal("makes the content a template.", "Write it out."),
}

CONFIG: dict[str, Spec] = {
    "name": ANY,
    "file": rules.file_inside,
    "content": ANY,
    "environment": rules.own_variable,
    "external": EXTERNAL,
    "labels": LABELS,
    "template_driver": Refusal("makes the content a template.", "Write it out."),
}

TOP: dict[str, Spec] = {
    "version": ANY,
    "name": ANY,
    "services": Form(names=Form(keys=SERVICE)),
    "networks": Form(names=Form(keys=NETWORK)),
    "volumes": Form(names=Form(keys=VOLUME)),
    "secrets": Form(names=Form(keys=SECRET)),
    "configs": Form(names=Form(keys=CONFIG)),
    "include": Refusal(
        "takes services from elsewhere, a file of the machine at worst.",
        "Write all services into this one file.",
    ),
    "models": Refusal("asks for a language model.", "Leave it out: there is none here."),
}

MODEL = Form(keys=TOP)

ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(DEPLOY, "below a service's `deploy:`"),
    **dict.fromkeys(HEALTHCHECK, "below a service's `healthcheck:`"),
    **{key: "below a service's name" for key in SERVICE if key not in TOP},
    **dict.fromkeys(("services", "networks", "volumes", "version"), "at the file's left edge"),
}
"""Where keys belong, for those who wrote them one level too high or too deep."""
