"""Drydock: individual practicals for Docker Compose and Swarm, graded by running them."""

__version__ = "1.0.0"
