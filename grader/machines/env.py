"""The commands that connect a shell's docker to one of the machines.

The same as `docker-machine env` printed. The functions are pure.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import PurePath

SHELLS = ("bash", "fish", "powershell", "cmd")
"""`bash` stands for all shells with `export`: zsh, dash, ksh."""

OVERRIDING = ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONTEXT")
"""Variables that would send docker elsewhere, or make it use TLS."""


def guess(environment: Mapping[str, str] | None = None, windows: bool | None = None) -> str:
    """The shell that the user most likely uses."""
    env = os.environ if environment is None else environment
    shell = PurePath(env.get("SHELL", "").replace("\\", "/")).name.removesuffix(".exe")
    if shell:  # on Windows, too: Git Bash
        return {"fish": "fish", "pwsh": "powershell"}.get(shell, "bash")
    if os.name == "nt" if windows is None else windows:
        # cmd has a prompt in its environment, PowerShell in a function.
        return "cmd" if env.get("PROMPT") else "powershell"
    return "bash"


def script(shell: str, docker_host: str, command: str) -> str:
    """Lines that set DOCKER_HOST; `command`, which printed them, is named in the comment at the
    end."""
    lines = [_unset(shell, name) for name in OVERRIDING]
    lines.append(_set(shell, "DOCKER_HOST", docker_host))
    return "\n".join([*lines, _how(shell, command)]) + "\n"


def undo(shell: str, command: str) -> str:
    """Lines that unset everything that `script` sets."""
    lines = [_unset(shell, name) for name in ("DOCKER_HOST", *OVERRIDING)]
    return "\n".join([*lines, _how(shell, command)]) + "\n"


def _set(shell: str, name: str, value: str) -> str:
    if shell == "fish":
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{escaped}';"
    if shell == "powershell":
        escaped = value.replace("'", "''")
        return f"$Env:{name} = '{escaped}'"
    if shell == "cmd":
        return f"SET {name}={value}"
    return f"export {name}={shlex.quote(value)}"


def _unset(shell: str, name: str) -> str:
    return {
        "fish": f"set -e {name};",
        "powershell": f"Remove-Item -ErrorAction SilentlyContinue Env:{name}",
        "cmd": f"SET {name}=",
    }.get(shell, f"unset {name}")


def _how(shell: str, command: str) -> str:
    """The comment that says how to apply the lines."""
    return {
        "fish": f"# Run this to have it in your shell: {command} | source",
        "powershell": f"# Run this to have it in your shell: {command} | Out-String | "
        "Invoke-Expression",
        "cmd": f"REM Run this to have it in your shell: "
        f"@FOR /f \"tokens=*\" %i IN ('{command}') DO @%i",
    }.get(shell, f'# Run this to have it in your shell: eval "$({command})"')
