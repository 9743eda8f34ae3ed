"""`worker`: this machine grades for a batch that runs on another one."""

from __future__ import annotations

import argparse
from typing import Any

EXAMPLE = """examples:
  python -m grader worker --scheduler tls://0.0.0.0:8786       once, anywhere
  python -m grader worker tls://grading.example:8786           on each machine that grades
  python -m grader grade SUBMISSIONS --cluster tls://grading.example:8786

Keys and certificates are Dask's own settings: `distributed.comm.tls` in its configuration, or
DASK_DISTRIBUTED__COMM__TLS__CA_FILE and so on. Whoever reaches the scheduler can run programs on
the workers: use tls:// everywhere but on one machine or in a network that is yours alone.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "worker",
        help="grade for a class's batch that runs on another machine",
        description="Start a worker of a Dask cluster that has this kit and an engine.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "address", metavar="ADDRESS", help="the scheduler's, such as tls://HOST:8786"
    )
    parser.add_argument(
        "--scheduler", action="store_true", help="be the scheduler that listens at ADDRESS"
    )
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="submissions side by side (default: what fits)"
    )
    parser.add_argument("--engine", metavar="URL", help="the Docker engine to use")
    parser.add_argument(
        "--trust", action="store_true", help="as for grade: an engine without user remapping, too"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from grader.classroom.batch import worker

    if args.scheduler:
        worker.schedule(args.address)
    else:
        worker.work(args.address, args.jobs, args.engine, args.trust)
    return 0
