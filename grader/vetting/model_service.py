"""What a compose file may contain about a service; see grader.vetting.model."""

from __future__ import annotations

from grader.vetting import mounts, rules
from grader.vetting.allowlist import ANY, Forbidden, Form, Spec
from grader.vetting.model_build import (
    BUILD,
    ENGINE_OWN,
    GRANTED,
    HOSTS,
    LABELS,
    LIMITS,
    VALUES,
    WORDS,
)

_NO_DEVICES = Forbidden(
    "gives a container devices of the machine.", "Leave it out: this lab needs none."
)

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
    "source": mounts.mount_source,
    "target": ANY,
    "read_only": ANY,
    "consistency": ANY,
    "bind": Form(
        keys={
            "propagation": rules.one_of(
                "private",
                "rprivate",
                what="With `{}` the machine would see the container's mounts.",
                remedy="Leave `propagation:` out.",
            ),
            "create_host_path": ANY,
            "recursive": ANY,
            "selinux": ANY,
        }
    ),
    "volume": Form(keys={"nocopy": ANY, "subpath": ANY, "labels": LABELS}),
    "tmpfs": Form(keys={"size": ANY, "mode": ANY}),
    "image": Forbidden("mounts an image.", "COPY what you need from it in a Dockerfile."),
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
    "path": mounts.path_inside,
    "action": ANY,
    "target": ANY,
    "ignore": WORDS,
    "include": WORDS,
    "initial_sync": ANY,
    "exec": ANY,
}
"""Only `compose watch` reads it, and the grader does not run that."""


SERVICE: dict[str, Spec] = {
    # What runs
    "image": ANY,  # grader.vetting.compose holds it against the lab's images
    "build": Form(text=mounts.path_inside, keys=BUILD),
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
        what="With `{}` images are fetched again, which cannot be done here.",
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
        text=mounts.path_inside,
        item=Form(
            text=mounts.path_inside,
            keys={"path": mounts.path_inside, "required": ANY, "format": ANY},
        ),
    ),
    "labels": LABELS,
    "annotations": LABELS,
    "configs": GRANTED,
    "secrets": GRANTED,
    # Files
    "volumes": Form(item=Form(text=mounts.short_mount, keys=MOUNT)),
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
                "driver_opts": Forbidden("sets options of the network's driver.", ENGINE_OWN),
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
        "`oom_kill_disable` lets a container use more memory than its limit."
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
        "`use_api_socket` gives the container the Docker engine's own socket, which controls the "
        "machine."
    ),
    # Never
    "cgroup_parent": Forbidden(
        "puts the container under other limits than the sandbox's.", "Leave it out."
    ),
    "devices": _NO_DEVICES,
    "device_cgroup_rules": _NO_DEVICES,
    "gpus": _NO_DEVICES,
    "blkio_config": Forbidden(
        "names devices of the machine.", "Leave it out: this lab does not limit disks."
    ),
    "credential_spec": Forbidden("reads credentials of Windows.", "Leave it out."),
    "extends": Forbidden(
        "takes a service from another place, possibly from a file of the machine.",
        "Write the keys here, or use a YAML anchor.",
    ),
    "external_links": Forbidden(
        "links to containers that are not in this file.",
        "Make them services of this file; services find each other by their names.",
    ),
    "label_file": Forbidden("reads labels from a file.", "Write them below `labels:`."),
    "models": Forbidden("asks for a language model.", "Leave it out: there is none here."),
    "post_start": Forbidden(
        "runs a command in the container after its start.",
        "Do it in `command:` or in the image.",
    ),
    "pre_stop": Forbidden(
        "runs a command in the container before its end.",
        "Let the program do it when it gets its `stop_signal`.",
    ),
    "provider": Forbidden(
        "makes Compose run a program of the machine.",
        "Services of this lab are containers: write `image:` or `build:`.",
    ),
}
