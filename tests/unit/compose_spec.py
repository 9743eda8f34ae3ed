"""All keys of the Compose Specification, by where they stand (`*` for a name or a list's item).

Source: https://github.com/compose-spec/compose-go/blob/main/schema/compose-spec.json, read in 2026
at commit 0035625512a6452282580c697fbcbca4857d188f.
"""

from __future__ import annotations

SPEC: dict[str, str] = {
    "": "version name include services models networks volumes secrets configs",
    "services.*": """
        develop deploy annotations attach build blkio_config cap_add cap_drop cgroup cgroup_parent
        command configs container_name cpu_count cpu_percent cpu_shares cpu_quota cpu_period
        cpu_rt_period cpu_rt_runtime cpus cpuset credential_spec depends_on device_cgroup_rules
        devices dns dns_opt dns_search domainname entrypoint env_file label_file environment expose
        extends provider external_links extra_hosts gpus group_add healthcheck hostname image init
        ipc isolation labels links logging mac_address mem_limit mem_reservation mem_swappiness
        memswap_limit network_mode models networks oom_kill_disable oom_score_adj pid pids_limit
        platform ports post_start pre_stop privileged profiles pull_policy pull_refresh_after
        read_only restart runtime scale security_opt shm_size secrets sysctls stdin_open
        stop_grace_period stop_signal storage_opt tmpfs tty ulimits use_api_socket user uts
        userns_mode volumes volumes_from working_dir
    """,
    "services.*.build": """
        context dockerfile dockerfile_inline entitlements args ssh labels cache_from cache_to
        no_cache additional_contexts network provenance sbom pull target shm_size extra_hosts
        isolation privileged secrets tags ulimits platforms
    """,
    "services.*.build.secrets.*": "source target uid gid mode",
    "services.*.build.ulimits.*": "hard soft",
    "services.*.depends_on.*": "restart required condition",
    "services.*.env_file.*": "path format required",
    "services.*.logging": "driver options",
    "services.*.networks.*": """
        aliases interface_name ipv4_address ipv6_address link_local_ips mac_address driver_opts
        priority gw_priority
    """,
    "services.*.ports.*": "name mode host_ip target published protocol app_protocol",
    "services.*.volumes.*": "type source target read_only consistency bind volume tmpfs image",
    "services.*.volumes.*.bind": "propagation create_host_path recursive selinux",
    "services.*.volumes.*.volume": "labels nocopy subpath",
    "services.*.volumes.*.tmpfs": "size mode",
    "services.*.configs.*": "source target uid gid mode",
    "services.*.secrets.*": "source target uid gid mode",
    "services.*.ulimits.*": "hard soft",
    "services.*.healthcheck": "disable interval retries test timeout start_period start_interval",
    "services.*.develop": "watch",
    "services.*.develop.watch.*": "ignore include path action target exec",
    "services.*.deploy": """
        mode endpoint_mode replicas labels rollback_config update_config resources restart_policy
        placement
    """,
    "services.*.deploy.rollback_config": """
        parallelism delay failure_action monitor max_failure_ratio order
    """,
    "services.*.deploy.update_config": """
        parallelism delay failure_action monitor max_failure_ratio order
    """,
    "services.*.deploy.resources": "limits reservations",
    "services.*.deploy.resources.limits": "cpus memory pids",
    "services.*.deploy.resources.reservations": "cpus memory generic_resources devices",
    "services.*.deploy.restart_policy": "condition delay max_attempts window",
    "services.*.deploy.placement": "constraints preferences max_replicas_per_node",
    "services.*.deploy.placement.preferences.*": "spread",
    "networks.*": """
        name driver driver_opts ipam external internal enable_ipv4 enable_ipv6 attachable labels
    """,
    "networks.*.ipam": "driver config options",
    "networks.*.ipam.config.*": "subnet ip_range gateway aux_addresses",
    "volumes.*": "name driver driver_opts external labels",
    "secrets.*": "name environment file external labels driver driver_opts template_driver",
    "configs.*": "name content environment file external labels template_driver",
}
"""Below keys that are refused or not looked at as a whole there is nothing to decide."""
