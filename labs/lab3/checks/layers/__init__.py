"""Exercise layers: a Dockerfile that works is put in order."""
