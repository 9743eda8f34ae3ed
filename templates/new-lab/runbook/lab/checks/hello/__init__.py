"""Exercise hello: docker commands, step by step."""
