"""Explains the output of programs in the exercise layers."""

from __future__ import annotations

from grader.modules.explain import Explainer

EXPLAINER = Explainer("layers")
EXPLAINERS = (EXPLAINER,)
