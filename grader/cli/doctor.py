"""`doctor`: what is installed, what is missing, what it costs, and how to fix it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.doctor.finding import Finding

EXAMPLE = """examples:
  python -m grader doctor
  python -m grader doctor --engine embedded
exit codes: 0 everything needed is there (or the kit can get it), 3 otherwise
"""

MARKS = {
    "ok": "[green]ok[/green]",
    "warning": "[yellow]look[/yellow]",
    "missing": "[red]missing[/red]",
    "optional": "[dim]optional[/dim]",
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "doctor",
        help="show what is installed, what is missing, and how to fix it",
        description="Check this machine. This starts, installs and changes nothing.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--engine", metavar="URL", help="the engine to check, as in DOCKER_HOST; or `embedded`"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from grader.console import task
    from grader.doctor import examine
    from grader.grading import jail

    with task("Checking this machine"):
        findings = examine.examine(args.engine, confined=jail.possible())
    if args.json:
        print(json.dumps([vars(finding) for finding in findings], ensure_ascii=False, indent=1))
    else:
        _print(findings)
    return 0 if examine.complete(findings) else 3


def _print(findings: Sequence[Finding]) -> None:
    """Three columns: five would leave no room for the words on 80 characters."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_lines=True, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("What", no_wrap=True)
    table.add_column("Found; what it costs; what fixes it", overflow="fold")
    for finding in findings:
        lines = [escape(finding.found)]
        if finding.cost:
            lines.append(f"[dim]costs[/dim] {escape(finding.cost)}")
        if finding.remedy:
            lines.append(f"[dim]fix[/dim] {escape(finding.remedy)}")
        table.add_row(MARKS[finding.state], escape(finding.name), "\n".join(lines))
    Console(highlight=False).print(table)
