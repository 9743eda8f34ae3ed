"""What is done with a submission of the exercise image, each once, for its checks to look at."""

from __future__ import annotations

CONTEXT = "/drydock/image"
"""The student's folder on the node, where the image is built."""

TAG, OTHER_TAG = "submission/image", "submission/image:other"

RELEASE = "RELEASE"
"""The ARG."""
