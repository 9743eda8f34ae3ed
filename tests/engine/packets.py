"""Packets made by hand, sent from inside a node, and listeners that they must not reach."""

from __future__ import annotations

import ipaddress
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

SENDER = r"""
use Socket;
my ($device, @frames) = @ARGV;
open my $file, "<", "/sys/class/net/$device/ifindex" or die; my $index = <$file>;
socket my $raw, 17, 3, 0x0300 or die "no raw socket: $!";
for (@frames) {
    my $frame = pack "H*", $_;
    my $to = pack "SnlSCCa8", 17, unpack("n", substr $frame, 12, 2), $index, 1, 0, 6, $frame;
    send $raw, $frame, 0, $to or die "not sent: $!";
}
"""
"""Perl, which each node has: sends whole Ethernet frames in order."""

SNIFFER = """
import socket, sys
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
if len(sys.argv) > 1:
    raw.bind((sys.argv[1], 0))
print("ready", flush=True)
while True:
    frame, (_, _, kind, _, _) = raw.recvfrom(9000)
    if kind != socket.PACKET_OUTGOING or len(sys.argv) > 1:
        print(frame.hex(), flush=True)
"""

BROADCAST = "ff:ff:ff:ff:ff:ff"
OWN_MAC = "02:dd:dd:dd:dd:dd"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def udp(
    source: tuple[str, int], target: tuple[str, int], payload: bytes, mac: str, own: str = OWN_MAC
) -> bytes:
    """An Ethernet frame with a datagram of IPv4 or IPv6, whoever `source` is."""
    length = 8 + len(payload)
    ours, theirs = (ipaddress.ip_address(end[0]) for end in (source, target))
    head = struct.pack("!HHHH", source[1], target[1], length, 0)
    if ours.version == 4:
        return _ethernet(mac, own, 0x0800) + ipv4(ours, theirs, 17, head + payload)
    pseudo = ours.packed + theirs.packed + struct.pack("!II", length, 17)
    found = _checksum(pseudo + head + payload)
    head = struct.pack("!HHHH", source[1], target[1], length, found or 0xFFFF)
    return _ethernet(mac, own, 0x86DD) + ipv6(ours, theirs, 17, head + payload)


def router_advertisement(source: str, mac: str) -> bytes:
    """What makes a machine that believes it send its IPv6 packets to the sender."""
    ours, all_nodes = ipaddress.ip_address(source), ipaddress.ip_address("ff02::1")
    link = bytes([1, 1]) + _mac(OWN_MAC)
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + link
    pseudo = ours.packed + all_nodes.packed + struct.pack("!II", len(body), 58)
    body = body[:2] + struct.pack("!H", _checksum(pseudo + body)) + body[4:]
    return _ethernet(mac, OWN_MAC, 0x86DD) + ipv6(ours, all_nodes, 58, body, hops=255)


def ipv4(source: Address, target: Address, protocol: int, body: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0)
    head += source.packed + target.packed
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + body


def ipv6(source: Address, target: Address, protocol: int, body: bytes, hops: int = 64) -> bytes:
    return (
        struct.pack("!IHBB", 6 << 28, len(body), protocol, hops)
        + source.packed
        + target.packed
        + body
    )


def _ethernet(target: str, source: str, kind: int) -> bytes:
    return _mac(target) + _mac(source) + struct.pack("!H", kind)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def send(node: Any, frames: Sequence[bytes]) -> None:
    """Send them from a node, as its root."""
    argv = ["perl", "-e", SENDER, "eth0", *(frame.hex() for frame in frames)]
    done = node.run(argv, timeout=30)
    assert done.ok, done.out


class Sniffer:
    """All frames that a network namespace receives (or a `device` of this machine carries)."""

    def __init__(self, netns: str | None = None, device: str | None = None) -> None:
        argv = ["ip", "netns", "exec", netns] if netns else []
        argv += [sys.executable, "-c", SNIFFER, *([device] if device else [])]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def until(self, last: bytes) -> list[bytes]:
        """The frames up to the one that holds `last`, that one left out."""
        assert self._process.stdout is not None
        found: list[bytes] = []
        for line in self._process.stdout:
            frame = bytes.fromhex(line)
            if last in frame:
                return found
            found.append(frame)
        raise AssertionError("the sniffer has ended")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Canary:
    """A UDP service of this machine, on all of its addresses, IPv4 and IPv6."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        self._socket.bind(("::", 0))
        self._socket.settimeout(30)
        self.port = int(self._socket.getsockname()[1])

    def ask(self, address: str, port: int) -> None:
        """Send something: what comes back from there is an answer."""
        self._socket.sendto(b"question", (f"::ffff:{address}", port))

    def until(self, last: bytes) -> list[tuple[bytes, str]]:
        """(payload, sender) of what came before `last`."""
        found: list[tuple[bytes, str]] = []
        while True:
            payload, sender = self._socket.recvfrom(2000)
            if payload == last:
                return found
            found.append((payload, sender[0]))

    def close(self) -> None:
        self._socket.close()
