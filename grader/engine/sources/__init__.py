"""Where packages and images come from: what this machine is configured to use."""
