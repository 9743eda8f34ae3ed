"""What really goes over the wire between nodes, seen by their kernels.

Each node's own Perl (a part of every Debian) listens and knocks; nothing has to be installed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from grader.checks import cannot_show

LISTEN = r"""
use strict; use Socket; $| = 1;
my ($seconds, @wanted) = @ARGV;
my %left = map { $_ => 1 } @wanted;
my %seen;
socket(my $wire, 17, SOCK_DGRAM, unpack("S", pack("n", 0x0800))) or die "cannot listen: $!\n";
print "listening\n";
my $end = time + $seconds;
while (%left and (my $rest = $end - time) > 0) {
    my $ready = ""; vec($ready, fileno($wire), 1) = 1;
    select($ready, undef, undef, $rest) > 0 or last;
    defined recv($wire, my $packet, 2048, 0) or next;
    next if length $packet < 28;
    my $header = 4 * (ord(substr $packet, 0, 1) & 15);
    my $protocol = ord substr $packet, 9, 1;
    my ($from, $to) = map { inet_ntoa(substr $packet, $_, 4) } 12, 16;
    my $what = $protocol == 17 ? "udp/" . unpack("n", substr $packet, $header + 2, 2)
             : $protocol == 1 && ord(substr $packet, $header, 1) == 8 ? "ping" : next;
    my $line = "$what $from $to";
    next if $seen{$line}++;
    print "$line\n";
    delete $left{"$what $from"};
}
"""

KNOCK = r"""
use strict; use IO::Socket::INET;
for my $place (@ARGV) {
    my $open = IO::Socket::INET->new(PeerAddr => $place, Timeout => 5);
    print $open ? "open" : "closed", " $place\n";
}
"""


@dataclass(frozen=True)
class Packet:
    """A kind of packet that arrived: `udp/4789` or `ping` (an echo request), from and to."""

    kind: str
    source: str
    dest: str


def listen(node: Any, seconds: int, wanted: Collection[tuple[str, str]] = ()) -> set[Packet]:
    """The kinds of packets that arrive at a node, until all `wanted` (kind, source) have."""
    argv = ["perl", "-e", LISTEN, str(seconds), *(f"{kind} {source}" for kind, source in wanted)]
    done = node.run(argv, timeout=seconds + 60, keep=200_000)
    if "listening" not in done.out:
        cannot_show(f"{node.name} does not let the grader see packets: {done.tail(2)}")
    rows = (line.split() for line in done.out.splitlines())
    return {Packet(*row) for row in rows if len(row) == 3}


def knock(node: Any, places: Collection[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those TCP ports that take a connection from a node."""
    named = [f"{address}:{port}" for address, port in places]
    done = node.run(["perl", "-e", KNOCK, *named], timeout=60 + 6 * len(named))
    said = set(done.out.splitlines())
    return {place for place, name in zip(places, named, strict=True) if f"open {name}" in said}
