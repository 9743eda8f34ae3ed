"""What programs say in the exercise layers, in words for a student."""

from __future__ import annotations

from grader.modules.explain import Explainer

EXPLAINER = Explainer("layers")
EXPLAINERS = (EXPLAINER,)
