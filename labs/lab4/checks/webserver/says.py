"""Explains the output of programs in the exercise webserver."""

from __future__ import annotations

from grader.modules.explain import NGINX, PHP, SCRIPT, Explainer

EXPLAINER = Explainer(
    "webserver",
    about=(SCRIPT, NGINX, PHP),
    packages=("nginx", "php-fpm"),
    script="provision.sh",
)
EXPLAINERS = (EXPLAINER,)

TOO_SLOW = (
    "Look for an endless loop, a command that waits for an answer, or a server started in the"
    " foreground (nginx -g 'daemon off;' never returns)."
)
