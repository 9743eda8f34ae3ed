"""Exercise registry: a runbook that runs a registry."""
