"""Exercise rollout: a stack is deployed, updated, broken, robbed of a node, removed; then
voting."""
