"""`worker`: this machine grades for a batch that runs on another one."""

from __future__ import annotations

import argparse
from typing import Any

EXAMPLE = """examples:
  python -m grader worker --scheduler tls://0.0.0.0:8786       once, anywhere
  python -m grader worker tls://grading.example:8786           on each machine that grades
  python -m grader grade SUBMISSIONS --cluster tls://grading.example:8786

Keys and certificates are Dask's own settings: `distributed.comm.tls` in its configuration, or
DASK_DISTRIBUTED__COMM__TLS__CA_FILE and so on. Anyone who can reach the scheduler can run
programs on the workers: use tls://, except on a single machine or in a private network.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "worker",
        help="grade submissions for a batch that runs on another machine",
        description="Start a worker of a Dask cluster that has this kit and an engine.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "address", metavar="ADDRESS", help="the scheduler's address, such as tls://HOST:8786"
    )
    parser.add_argument(
        "--scheduler", action="store_true", help="run the scheduler, which listens at ADDRESS"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="number of submissions graded at the same time (default: what fits)",
    )
    parser.add_argument("--engine", metavar="URL", help="the Docker engine to use")
    parser.add_argument(
        "--trust",
        action="store_true",
        help="also use an engine without user remapping, as for grade",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from grader.classroom.batch import worker

    if args.scheduler:
        worker.schedule(args.address)
    else:
        worker.work(args.address, args.jobs, args.engine, args.trust)
    return 0
