"""Explains the output of programs in the exercise image."""

from __future__ import annotations

from grader.modules.explain import NGINX, PHP, Explainer

EXPLAINER = Explainer("image", about=(NGINX, PHP), packages=("nginx", "php-fpm"))
EXPLAINERS = (EXPLAINER,)

TOO_SLOW = (
    "Look for a command that waits for an answer, or a server started in the foreground of a RUN"
    " (nginx -g 'daemon off;' never returns)."
)
