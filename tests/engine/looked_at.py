"""A node of a sandbox for tests of the modules that look at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from grader.engine.sandbox import Sandbox
from grader.engine.sandbox_target import SandboxTarget
from grader.nodes.node import Node

BARE = "debian:bookworm"

LISTENER = """
use IO::Socket::INET;
my ($address, $port) = @ARGV;
my @at = (LocalAddr => $address, LocalPort => $port);
my $s = IO::Socket::INET->new(@at, Listen => 5, ReuseAddr => 1);
while (my $c = $s->accept) { <$c>; print $c "HTTP/1.0 200 OK\\r\\n\\r\\nhere"; close $c; }
"""
"""A web server in a few lines of Perl, which a bare Debian has: listener.pl ADDRESS PORT."""


@contextmanager
def node(engine: Any, image_set: Any) -> Iterator[Node]:
    with Sandbox.create(engine, submission="test", image_set=image_set.volume) as sandbox:
        yield SandboxTarget(sandbox).nodes[0]
