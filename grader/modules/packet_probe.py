"""Packets between nodes, as their kernels see them.

    knock(worker, [("10.0.0.2", 2377), ("10.0.0.2", 7946)])
    # {('10.0.0.2', 2377): 'open', ('10.0.0.2', 7946): 'refused'}

Each node's own Perl (a part of every Debian) listens and sends; nothing must be installed. It sees
packets after the node's packet filter, whether or not a program listens at their port. It does not
see packets that a firewall drops. This needs root on the node.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from grader.checks import cannot_show

Place = tuple[str, int]
Answer = Literal["open", "refused", "silent"]
ANSWERS: dict[str, Answer] = {"open": "open", "refused": "refused", "silent": "silent"}

# Orders: `ear KIND` opens an ear, `await KIND SOURCE` is heard before the end (whoever awaits
# nothing has to say how long), `knock KIND ADDRESS` is done five times a second.
SCRIPT = r"""
use strict; use Socket; use IO::Socket::INET; use Errno qw(ECONNREFUSED EINPROGRESS); $| = 1;
my ($seconds, $linger, $word, @orders) = @ARGV;
my %number = (ping => 1, tcp => 6, udp => 17);
my (%ears, %left, %said, %open, %seen, @doors);
for (@orders) {
    my ($verb, $kind, $whom) = split / /;
    if ($verb eq "ear") {
        socket($ears{$kind}, PF_INET, SOCK_RAW, $number{$kind}) or die "cannot listen: $!\n";
    }
    elsif ($verb eq "await") { $left{"$kind $whom"} = 1 }
    else { push @doors, [split(m{/}, $kind), $whom] }
}
print "listening\n";
my $sender = IO::Socket::INET->new(Proto => "udp");
my ($waits, $over) = (scalar(%left) || scalar(@doors), $linger * 5);
for (my $left = $seconds * 5; $left > 0; $left--) {
    knock($_) for @doors;
    attend(0.2);
    next if !$waits or %left or grep { $_->[0] eq "tcp" and !$said{"@$_"} } @doors;
    last if $over-- <= 0;
}
for (grep { $_->[0] eq "tcp" } @doors) { print $said{"@$_"} || "silent", " $_->[2]:$_->[1]\n" }

sub knock {
    my ($kind, $port, $address) = @{$_[0]};
    my $place = sockaddr_in($port, inet_aton($address));
    if ($kind eq "udp") { send $sender, $word, 0, $place; return }
    my $key = "@{$_[0]}";
    return if $open{$key} or ($said{$key} || "") eq "open";
    my $socket = IO::Socket::INET->new(Proto => "tcp", Blocking => 0) or return;
    if (connect $socket, $place) { $said{$key} = "open" }
    elsif ($!{EINPROGRESS}) { $open{$key} = $socket }
    elsif ($!{ECONNREFUSED}) { $said{$key} = "refused" }
}

sub attend {
    my $rest = $_[0];
    while ($rest > 0) {
        my ($in, $out, $found) = ("", "");
        vec($in, fileno $_, 1) = 1 for values %ears;
        vec($out, fileno $_, 1) = 1 for values %open;
        ($found, $rest) = select($in, $out, undef, $rest);
        return if $found <= 0;
        for (keys %open) {
            next unless vec($out, fileno $open{$_}, 1);
            my $error = unpack "i", getsockopt($open{$_}, SOL_SOCKET, SO_ERROR);
            $said{$_} = "open" if !$error;
            $said{$_} ||= "refused" if $error == ECONNREFUSED;
            delete $open{$_};
        }
        vec($in, fileno $ears{$_}, 1) and hear($_) for keys %ears;
        last if $waits and !$linger and !%left and !@doors;
    }
}

sub hear {
    my $kind = $_[0];
    defined recv($ears{$kind}, my $packet, 2048, 0) or return;
    return if length $packet < 28;
    my $header = 4 * (ord(substr $packet, 0, 1) & 15);
    my ($from, $to) = map { inet_ntoa(substr $packet, $_, 4) } 12, 16;
    if ($kind eq "ping") { return if ord(substr $packet, $header, 1) != 8 }
    else {
        # Of TCP the first packet of a connection only.
        return if $kind eq "tcp" and (ord(substr $packet, $header + 13, 1) & 0x12) != 2;
        $kind .= "/" . unpack "n", substr $packet, $header + 2, 2;
    }
    my $body = $kind =~ /^udp/ ? substr $packet, $header + 8 : "";
    note($kind, $_, $to) for $from, $body =~ /^(drydock-[\w-]+)$/;
}

sub note {
    my ($kind, $from, $to) = @_;
    my $wanted = delete $left{"$kind $from"};
    # Ever new kinds of packets must not fill the memory, nor push others out of what is read.
    return if keys(%seen) >= 5000 and !$wanted;
    print "$kind $from $to\n" unless $seen{"$kind $from $to"}++;
}
"""


@dataclass(frozen=True)
class Packet:
    """A kind of packet that arrived: `udp/4789`, `tcp/2377` (the first packet of a connection)
    or `ping` (an echo request), with its addresses; for a test packet by UDP, `source` can also
    be its word."""

    kind: str
    source: str
    dest: str


@dataclass(frozen=True)
class Heard:
    """What one node received (None: it could not listen), and the answers to its TCP attempts."""

    packets: set[Packet] | None
    answers: dict[Place, Answer]


class Deaf(Exception):
    """The node cannot see packets; the message says why."""


def listen(node: Any, seconds: int, wanted: Collection[tuple[str, str]] = ()) -> set[Packet]:
    """The kinds of packets that arrive at a node, until all `wanted` (kind, source) have arrived.

    For checks: ends the check as not graded if the node does not show packets.
    """
    try:
        return exchange(node, seconds, ears=("udp", "ping"), wanted=wanted).packets or set()
    except Deaf as error:
        cannot_show(f"{node.name} does not let the grader see packets: {error}")


def knock(node: Any, places: Collection[Place], seconds: int = 5) -> dict[Place, Answer]:
    """How TCP ports answer a node; `silent` means no answer within `seconds`."""
    return exchange(node, seconds, knocks=[("tcp", place) for place in places]).answers


def exchange(
    node: Any,
    seconds: int,
    *,
    ears: Sequence[str] = (),
    wanted: Collection[tuple[str, str]] = (),
    knocks: Collection[tuple[str, Place]] = (),
    word: str = "drydock",
    linger: int = 0,
) -> Heard:
    """Listen (`ears` of ping, tcp, udp) and send (tcp or udp, place) at the same time.

    Ends `linger` seconds after everything `wanted` has arrived and each TCP attempt was answered,
    and after `seconds` at the latest. UDP test packets carry `word`, which begins with `drydock-`.
    Raises Deaf, and whatever `node.run` raises.
    """
    argv = ["perl", "-e", SCRIPT, str(seconds), str(linger), word]
    argv += [f"ear {kind}" for kind in ears]
    argv += [f"await {kind} {source}" for kind, source in wanted]
    argv += [f"knock {kind}/{port} {address}" for kind, (address, port) in knocks]
    done = node.run(argv, timeout=seconds + 60, keep=200_000)
    if "listening" not in done.out:
        raise Deaf(done.tail(2))
    packets: set[Packet] = set()
    answers: dict[Place, Answer] = {}
    for line in done.out.splitlines():
        words = line.split()
        if len(words) == 3:
            packets.add(Packet(*words))
        elif len(words) == 2 and words[0] in ANSWERS:
            address, _, port = words[1].rpartition(":")
            answers[address, int(port)] = ANSWERS[words[0]]
    return Heard(packets, answers)
