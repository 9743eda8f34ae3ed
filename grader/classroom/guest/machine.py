"""The virtual machine itself: QEMU, which the kit starts and ends.

    with Machine(media, Size(2, 4096)) as machine:
        machine.channel.sendall(…)

It has no network card, no screen and no input except one serial port, whose other end is a socket
of this process. This process opens the machine's disks and passes them on as open files. QEMU reads
the disk, the kit and the image set, and writes one file that no longer has a name. So nothing is
left when it ends, and it always ends with this process. If the kit is root, QEMU runs as a user who
owns nothing, without network, and if QEMU supports it, with few system calls.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from grader.engine import packages
from grader.errors import EngineFault
from grader.grading import jail
from grader.text.cut import cut

QEMU = "qemu-system-x86_64"
PROGRAMS = {QEMU: "qemu-system-x86", "qemu-img": "qemu-utils", "setpriv": "util-linux"}

PORT = "drydock"
"""The serial port's name: /dev/virtio-ports/drydock in the machine."""

Accelerator = Literal["kvm", "tcg"]

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

GONE_SECONDS = 20
TRIAL_SECONDS = 60
KERNEL_SECONDS = 20
NO_DISK = b"Kernel panic - not syncing: VFS"
"""The last words of a kernel that has nothing to run."""

WELL = 0x31
"""The value that the trial's program writes to the port that ends QEMU; its exit code is 2 n +
1."""

NEEDED_BYTES = 8 * 1024**3
"""No machine is started if the host has less free space than this."""


@dataclass(frozen=True)
class Size:
    cpus: int
    megabytes: int


@dataclass(frozen=True)
class How:
    """What QEMU can do here: how it is accelerated, and whether it gives up system calls."""

    accelerator: Accelerator
    sandboxed: bool

    @property
    def emulated(self) -> bool:
        return self.accelerator == "tcg"


@dataclass(frozen=True)
class Media:
    """Paths that are only read; `kit` is an open file."""

    root: Path
    kernel: Path
    initrd: Path
    images: Path
    kit: BinaryIO


def install() -> None:
    """Install QEMU if it is missing. Raises NoEngine with a hint if it must not be installed."""
    wanted = sorted({PROGRAMS[name] for name in packages.missing(PROGRAMS)})
    if wanted:
        packages.apt_install(wanted, "to grade in a virtual machine")


@functools.cache
def how(kernel: Path) -> How:
    """Find out by trial what works on this machine. Raises EngineFault if nothing does.

    Some hypervisors offer a KVM that runs firmware but hangs in a kernel. So `kernel`, the
    machine's own, is started once.
    """
    said = ""
    for accelerator in ("kvm", "tcg"):
        for sandboxed in (True, False):
            found = How(accelerator, sandboxed)
            said = _trial(found)
            if said:
                continue
            if found.emulated or _starts(found, kernel):
                return found
            break
    raise EngineFault(
        f"QEMU cannot run a virtual machine here: {said}",
        remedy="Leave --inside vm out, or grade on another machine.",
    )


def firmware() -> bytes:
    """A program that replaces a firmware: it tells the port that ends QEMU that it runs."""
    program = bytes([0xB0, WELL, 0xE6, 0xF4, 0xF4])  # mov al, WELL; out 0xf4, al; hlt
    return bytes(0x10000 - 16) + program.ljust(16, b"\xf4")


def may_have_kvm() -> bool:
    """Whether KVM runs a program here. `how` also checks whether it runs a kernel."""
    return not _trial(How("kvm", sandboxed=False))


def _trial(found: How) -> str:
    """Why QEMU does not run with these options; empty if it runs, which means that a processor
    executed something."""
    if found.accelerator == "kvm" and not Path("/dev/kvm").exists():
        return "There is no /dev/kvm."
    with tempfile.TemporaryFile() as file:
        file.write(firmware())
        file.flush()
        os.fchmod(file.fileno(), 0o444)
        argv = [*basics(found), "-bios", f"/proc/self/fd/{file.fileno()}"]
        argv += ["-m", "16M", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x01"]
        try:
            done = subprocess.run(
                [*apart(found.accelerator), *argv],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TRIAL_SECONDS,
                pass_fds=[file.fileno()],
                cwd="/",
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    if done.returncode == 2 * WELL + 1:
        return ""
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return said[0] if said else f"it ended with code {done.returncode}"


def _starts(found: How, kernel: Path) -> bool:
    """Whether it starts far enough to report a missing disk, which takes a second."""
    with kernel.open("rb") as file:
        argv = [*apart(found.accelerator), *basics(found), "-m", "256M", "-serial", "stdio"]
        argv += ["-kernel", f"/proc/self/fd/{file.fileno()}"]
        argv += ["-append", "console=ttyS0 panic=-1"]
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=KERNEL_SECONDS,
                pass_fds=[file.fileno()],
                cwd="/",
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
    return NO_DISK in done.stdout


def apart(accelerator: Accelerator) -> list[str]:
    """What precedes QEMU's command line: QEMU ends with the thread that starts it, and has its own
    user.

    No distribution, container or person has this user (see `grader.grading.jail`).
    """
    own = ["--no-new-privs", "--pdeathsig", "KILL"]
    setpriv = packages.program("setpriv") or "setpriv"
    if not packages.is_root():
        return [setpriv, *own, "--"]
    user = str(jail.uid_of(os.getpid()))
    groups = ["--clear-groups"]
    if accelerator == "kvm":
        with contextlib.suppress(OSError):
            groups = ["--groups", str(Path("/dev/kvm").stat().st_gid)]
    nothing = ["--bounding-set=-all", "--inh-caps=-all"]
    unshare = packages.program("unshare") or "unshare"
    return [
        *(unshare, "--net", "--ipc", "--"),
        *(setpriv, "--reuid", user, "--regid", user, *groups, *nothing, *own, "--"),
    ]


def basics(found: How) -> list[str]:
    """QEMU with almost no devices."""
    tcg = "tcg,thread=multi,tb-size=512"
    return [
        packages.program(QEMU) or QEMU,
        *("-name", "drydock", "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"),
        *("-machine", "q35,usb=off,graphics=off", "-nic", "none"),
        *("-accel", tcg if found.emulated else "kvm"),
        *("-cpu", "max" if found.emulated else "host"),
        *(("-sandbox", SANDBOX) if found.sandboxed else ()),
    ]


def command(found: How, size: Size, handles: Mapping[str, int]) -> list[str]:
    """QEMU's command line; `handles` are open files by name: root, overlay, kit, images, kernel,
    initrd, and the socket `channel`."""
    words = ["root=/dev/vda", "rw", "console=ttyS0", "net.ifnames=0", "quiet", "panic=1"]
    words += ["apparmor=0", "selinux=0", "audit=0", "nowatchdog", "random.trust_cpu=on"]
    if found.emulated:
        # Its processors are programs, which none of these faults is in.
        words.append("mitigations=off")
    argv = [*basics(found), "-smp", str(size.cpus), "-m", f"{size.megabytes}M"]
    argv += ["-kernel", f"/proc/self/fd/{handles['kernel']}"]
    argv += ["-initrd", f"/proc/self/fd/{handles['initrd']}", "-append", " ".join(words)]
    for number, name in enumerate(("root", "overlay", "kit", "images"), start=1):
        how_opened = "off" if name == "overlay" else "on"
        argv += ["-add-fd", f"fd={handles[name]},set={number}"]
        argv += [
            "-blockdev",
            f"driver=file,node-name={name}-file,filename=/dev/fdset/{number},"
            f"read-only={how_opened},cache.no-flush=on",
        ]
    argv += ["-blockdev", "driver=raw,node-name=root,file=root-file,read-only=on"]
    argv += ["-blockdev", "driver=qcow2,node-name=overlay,file=overlay-file,backing=root"]
    argv += ["-device", "virtio-blk-pci,drive=overlay,serial=root"]
    for name in ("kit", "images"):
        argv += ["-blockdev", f"driver=raw,node-name={name},file={name}-file,read-only=on"]
        argv += ["-device", f"virtio-blk-pci,drive={name},serial={name}"]
    argv += ["-chardev", f"socket,id=channel,fd={handles['channel']}"]
    argv += ["-device", "virtio-serial-pci"]
    argv += ["-device", f"virtserialport,chardev=channel,name={PORT}"]
    argv += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    argv += ["-object", "rng-random,id=rng,filename=/dev/urandom"]
    return [*argv, "-device", "virtio-rng-pci,rng=rng"]


class Machine:
    """See the module. `channel` is this end of the serial port; the machine may not have started
    yet."""

    def __init__(self, media: Media, size: Size, place: Path) -> None:
        """`place` is a folder on a disk with enough space. Raises EngineFault if QEMU does not
        start."""
        free = shutil.disk_usage(place).free
        if free < NEEDED_BYTES:
            raise EngineFault(
                f"Only {free >> 30} GiB are free for the virtual machine, "
                f"{NEEDED_BYTES >> 30} GiB at least are needed.",
                where=str(place),
                remedy="Free some space, or set DRYDOCK_HOME to a folder on a larger disk.",
            )
        self.how = how(media.kernel)
        self.channel, theirs = socket.socketpair()
        self._console: collections.deque[bytes] = collections.deque(maxlen=64)
        with contextlib.ExitStack() as stack:
            stack.callback(theirs.close)
            handles = {"channel": theirs.fileno(), "kit": _read_only(media.kit, stack)}
            for name in ("root", "kernel", "initrd", "images"):
                opened = os.open(getattr(media, name), os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, opened)
                handles[name] = opened
            handles["overlay"] = stack.enter_context(_overlay(media.root, place))
            self._process = subprocess.Popen(
                [*apart(self.how.accelerator), *command(self.how, size, handles)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=list(handles.values()),
                cwd="/",
                env={"PATH": packages.SYSTEM_PATH, "LC_ALL": "C.UTF-8"},
            )
        threading.Thread(target=self._listen, name="console", daemon=True).start()

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _listen(self) -> None:
        """Read the console, so that it is never full; keep the end of it."""
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            while piece := os.read(self._process.stdout.fileno(), 4096):
                self._console.append(piece)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def last_words(self, lines: int = 6) -> str:
        """The end of its console, each line as printable text."""
        text = b"".join(self._console).decode("utf-8", "replace")
        found = [line for line in cut(text).splitlines() if line.strip()][-lines:]
        return "\n".join("".join(c if c.isprintable() else " " for c in line) for line in found)

    def end(self) -> None:
        """Stop the machine and remove everything that it wrote; can be called again."""
        self._process.kill()
        self._process.wait(GONE_SECONDS)
        # Whoever reads it in another thread hears of it.
        with contextlib.suppress(OSError):
            self.channel.shutdown(socket.SHUT_RDWR)
        self.channel.close()


def _read_only(file: BinaryIO, stack: contextlib.ExitStack) -> int:
    opened = os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, opened)
    return opened


@contextlib.contextmanager
def _overlay(root: Path, place: Path) -> Iterator[int]:
    """The file that the machine writes: open, without a name."""
    with tempfile.TemporaryDirectory(dir=place, prefix=".overlay-") as folder:
        path = Path(folder, "overlay.qcow2")
        run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), str(root.stat().st_size)])
        opened = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield opened
    finally:
        os.close(opened)


def run(argv: Sequence[str]) -> None:
    rc, lines = packages.run_lines(argv, None)
    if rc != 0:
        raise EngineFault(f"{argv[0]} failed:\n" + "\n".join(lines[-4:]))
