"""The worker in a virtual machine: grades what comes over the serial port (see `inside`).

    python -m grader.classroom.batch.guest_side

The first message names the image set and how to grade; each later message is a submission.
templates/guest/drydock.service starts it; when it ends, the machine ends, too.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from grader.classroom.batch import worker
from grader.classroom.guest import disk, machine
from grader.console import say
from grader.engine import daemon, find, node
from grader.engine.images.sets import ImageSet
from grader.engine.mirror import making
from grader.errors import KitError
from grader.grading import submission
from grader.targets import frames, providers
from grader.waiting import wait_until

DEVICE = Path("/dev/virtio-ports") / machine.PORT
DEVICE_SECONDS = 120
IMAGES = Path("/dev/disk/by-id/virtio-images")


class Port:
    """A serial port, read and written like a socket."""

    def __init__(self, device: Path = DEVICE) -> None:
        self._handle = os.open(device, os.O_RDWR | os.O_CLOEXEC)

    def recv(self, size: int, /) -> bytes:
        return os.read(self._handle, size)

    def sendall(self, data: bytes, /) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._handle, left) :]


def main() -> int:
    wait_until(DEVICE.exists, within=DEVICE_SECONDS)
    port = Port()
    told, _ = frames.receive(port)
    try:
        return serve(port, told)
    except frames.Ended:
        return 0
    except KitError as error:
        frames.send(port, {"failed": str(error)})
        # Until it is heard, and the machine ended from outside.
        port.recv(1)
        return error.exit_code


def allow_more_time(factor: float) -> None:
    """Multiply all time limits in this process by a factor: the machine may be emulated."""
    providers.Sandboxes.timeout_factor = factor
    daemon.START_SECONDS *= factor
    node.READY_SECONDS *= factor
    making.SECONDS *= factor


def serve(port: Port, told: dict[str, Any]) -> int:
    """Prepare as the first message says, then grade until the port is closed."""
    allow_more_time(float(told["timeout_factor"]))
    disk.adopt(ImageSet(**told["images"]), IMAGES)
    one_at_a_time = threading.Lock()

    def grade(number: int, job: str, files: bytes) -> None:
        answer = worker.grade(job, files)
        with one_at_a_time:
            frames.send(port, {"id": number}, answer.encode("utf-8", "backslashreplace"))

    with worker.ready(find.EMBEDDED, told["jobs"]) as place:
        ready = {
            "kit": submission.kit_digest(),
            "width": place.here.width,
            "side_by_side": place.here.side_by_side,
            "because": place.here.decision.because,
        }
        frames.send(port, {"ready": ready})
        with ThreadPoolExecutor(place.here.width) as pool:
            try:
                while True:
                    asked, files = frames.receive(port)
                    pool.submit(grade, int(asked["id"]), str(asked["job"]), files)
            except frames.Ended:
                say("The port is closed.")
                worker.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
