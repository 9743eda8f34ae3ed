"""Unpacks untrusted archives within limits."""
