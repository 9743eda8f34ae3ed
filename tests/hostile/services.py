"""Services of the host that no submission may reach: each notes who came, and answers a secret."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from pathlib import Path

SEEN = 200
"""Bytes of a message that are kept."""


class Services:
    """TCP and UDP on all addresses, TCP and UDP on loopback, and a Unix socket.

    `open_port` and `loop_port` are the ports, the same for TCP and UDP. `visits` are lines like
    `tcp 0.0.0.0:4711 from 172.31.0.2: GET /`.
    """

    def __init__(self, secret: str, unix: Path) -> None:
        self.visits: list[str] = []
        self._secret = secret.encode()
        self._selector = selectors.DefaultSelector()
        self.open_port = self._pair("0.0.0.0")
        self.loop_port = self._pair("127.0.0.1")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(unix))
        unix.chmod(0o777)  # any user could use it, so that only its place protects it
        listener.listen()
        self._add(listener, f"unix {unix}")
        self._wake, self._stop = socket.socketpair()
        self._add(self._wake, "stop")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.close()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _pair(self, address: str) -> int:
        """A TCP and a UDP socket at one port."""
        for _ in range(100):
            tcp = socket.socket()
            tcp.bind((address, 0))
            port = int(tcp.getsockname()[1])
            udp = socket.socket(type=socket.SOCK_DGRAM)
            try:
                udp.bind((address, port))
            except OSError:
                tcp.close()
                udp.close()
                continue
            tcp.listen(64)
            self._add(tcp, f"tcp {address}:{port}")
            self._add(udp, f"udp {address}:{port}")
            return port
        raise OSError("no port is free for TCP and UDP")

    def _add(self, sock: socket.socket, name: str) -> None:
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ, name)

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data == "stop":
                    return
                with contextlib.suppress(OSError):
                    self._visited(key.fileobj, key.data)  # type: ignore[arg-type]

    def _visited(self, sock: socket.socket, name: str) -> None:
        if name.startswith("udp"):
            said, peer = sock.recvfrom(SEEN)
            self.visits.append(f"{name} from {peer[0]}: {said!r}")
            return
        visitor, peer = sock.accept()
        with visitor:
            visitor.settimeout(1)
            self.visits.append(f"{name} from {peer[0] if peer else 'a process'}")
            with contextlib.suppress(OSError):
                self.visits[-1] += f": {visitor.recv(SEEN)!r}"
            answer = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s"
            visitor.sendall(answer % (len(self._secret), self._secret))
