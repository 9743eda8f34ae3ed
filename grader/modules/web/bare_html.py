"""A page's text without its tags, in one pass.

>>> without_tags("<p>a<script>b</script><!-- c --> d <?php e")
' a   d <?php e'
"""

from __future__ import annotations

import re

_BEGINS = re.compile(r"<(?:(script|style)\b|(!--)|[^?])", re.DOTALL)


def without_tags(text: str) -> str:
    """Tags, comments, scripts and styles become a space; `<?` stays, it is no tag."""
    pieces: list[str] = []
    missing: set[str] = set()
    at = done = 0
    while found := _BEGINS.search(text, at):
        start = found.start()
        ends = [">"]
        if found[1]:
            ends = [f"</{found[1]}>", ">"]
        elif found[2]:
            ends = ["-->", ">"]
        for end in ends:
            # A closing that is missing here is missing from here on.
            close = -1 if end in missing else text.find(end, found.end())
            if close >= 0:
                pieces += [text[done:start], " "]
                at = done = close + len(end)
                break
            missing.add(end)
        else:
            at = start + 1
    return "".join([*pieces, text[done:]])
