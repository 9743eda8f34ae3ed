"""Builds and runs a submission of the exercise image, each step once, for its checks."""

from __future__ import annotations

CONTEXT = "/drydock/image"
"""The student's folder on the node, where the image is built."""

TAG, OTHER_TAG = "submission/image", "submission/image:other"

RELEASE = "RELEASE"
"""The ARG."""
