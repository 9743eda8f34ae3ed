"""Runbooks: read, vetted, and played step by step."""
