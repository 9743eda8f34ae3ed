"""Exercise swarm: a runbook that makes a swarm and runs services on it."""
