"""Exercise scientific: an image for a scientific environment."""
