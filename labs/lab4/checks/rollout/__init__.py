"""Exercise rollout: a stack is deployed, updated, broken, loses a node, is removed; then
voting."""
