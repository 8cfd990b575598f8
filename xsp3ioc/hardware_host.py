"""What the host has for an Xspress3: the library's own needs, shared memory, limits, network, settings directory."""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import resource
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from xsp3ioc.hardware_report import Section
from xsp3ioc.sdk.absences import DISABLED, absent
from xsp3ioc.sdk.binding import Library
from xsp3ioc.sdk.shared_memory import SHARED_MEMORY, Segment, segments

FRAME_BYTES = 4096 * 4
_NETWORK = Path("/sys/class/net")
_NET_LIMITS = ("rmem_max", "rmem_default", "netdev_max_backlog")
_SIOCGIFADDR = 0x8915
_ELF64_LITTLE = b"\x7fELF\x02\x01"
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NEEDED, _DT_STRTAB, _DT_SONAME = 1, 5, 14
_MOST_HEADERS = 1 << 16


def host_sections(library: str, settings: str, cards: int, channels: int, frames: int) -> Iterator[Section]:
    """Say what can be said without the library; `library` is the path of its file, empty for the emulator."""
    yield Section("Host", ("what", "value"), [*_machine(), *_memory(channels, frames)])
    yield Section("Network", ("interface", "state", "speed", "MTU", "IPv4"), list(_interfaces()), _network_text(cards))
    if library:
        yield Section("Library", ("what", "value"), list(_library(Path(library))))
    yield shared_segments("Shared memory of the library before connecting")
    if settings:
        yield Section("Settings directory", ("what", "value"), list(_settings(Path(settings))))


def _machine() -> Iterator[tuple[str, str]]:
    yield "system", platform.platform()
    yield "Python", platform.python_version()
    yield "processors", str(os.cpu_count())
    for line in _text(Path("/proc/meminfo")).splitlines():
        name, _, value = line.partition(":")
        if name in ("MemTotal", "MemAvailable"):
            yield name, value.strip()


def _memory(channels: int, frames: int) -> Iterator[tuple[str, str]]:
    try:
        found = os.statvfs(SHARED_MEMORY)
    except OSError as error:
        yield str(SHARED_MEMORY), f"not there: {error.strerror}"
    else:
        free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
        yield f"{SHARED_MEMORY} free", f"{_mib(free)} of {_mib(total)}"
        if channels > 0:
            need = channels * frames * FRAME_BYTES
            enough = "enough" if need < free else "NOT ENOUGH"
            yield "  spectra need", f"{_mib(need)} for {frames} frames of {channels} channels: {enough}"
        else:
            yield "  spectra need", f"{_mib(frames * FRAME_BYTES)} per channel for {frames} frames"
    for name in ("RLIMIT_MEMLOCK", "RLIMIT_NOFILE", "RLIMIT_RTPRIO"):
        limits = resource.getrlimit(getattr(resource, name))
        soft, hard = ("unlimited" if limit == resource.RLIM_INFINITY else str(limit) for limit in limits)
        yield name, f"{soft} (hard {hard})"
    for name in _NET_LIMITS:
        yield f"net.core.{name}", _text(Path("/proc/sys/net/core") / name).strip() or "cannot be read"


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _interfaces() -> Iterator[tuple[str, ...]]:
    for _, name in socket.if_nameindex():
        state, speed, mtu = (_text(_NETWORK / name / what).strip() for what in ("operstate", "speed", "mtu"))
        yield name, state, f"{speed} Mbit/s" if speed and speed != "-1" else "", mtu, _address(name)


def _address(interface: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            found = fcntl.ioctl(asking, _SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
        except OSError:
            return "none"
    return socket.inet_ntoa(found[20:24])


def _network_text(cards: int) -> str:
    numbers = range(min(cards, 2))
    control = ", ".join(f"192.168.0.{2 + card}" for card in numbers)
    host = ", ".join(f"192.168.0.{65 + 4 * card}" for card in numbers)
    more = ", ..." if cards > len(numbers) else ""
    return (
        f"Unless the base address is changed: host 192.168.0.1, cards' control {control}{more}; "
        f"host's 10G {host}{more} (Xspress3 and Xspress4)"
    )


def _library(path: Path) -> Iterator[tuple[str, str]]:
    yield "file", str(path)
    if not path.is_file():
        return
    yield "size", f"{path.stat().st_size} bytes"
    try:
        soname, needed = elf_names(path)
    except (OSError, ValueError, struct.error) as error:
        yield "needs", f"cannot be told: {error}"
        needed = []
    else:
        yield "SONAME", soname or "none"
    for name in needed:
        yield f"needs {name}", _found(name, path.parent, "; add it to LD_LIBRARY_PATH")
    for name in ("libimg_mod.so", "librt.so.1", "libm.so.6"):
        if name not in needed:
            yield f"may use {name}", _found(name, path.parent)


def _found(name: str, beside: Path, advice: str = "") -> str:
    """Say whether the loader finds a library, which it then has loaded."""
    for place in (name, str(beside / name)):
        try:
            ctypes.CDLL(place)
        except OSError:
            continue
        return "found" if place == name else f"found in {beside}{advice}"
    return "NOT FOUND"


def elf_names(path: Path) -> tuple[str, list[str]]:
    """Return a shared library's own name and the names of those it needs; ValueError if it is none for x86-64."""
    with path.open("rb") as file:
        head = file.read(64)
        if head[:6] != _ELF64_LITTLE:
            raise ValueError("no 64-bit ELF file")
        offset, size, count = (*struct.unpack_from("<Q", head, 32), *struct.unpack_from("<HH", head, 54))
        file.seek(offset)
        raw = file.read(size * count)
        headers = [struct.unpack_from("<IIQQQQ", raw, size * number) for number in range(count)]
        loads = [(at, start, length) for kind, _, at, start, _, length in headers if kind == _PT_LOAD]
        dynamic = next(((at, length) for kind, _, at, _, _, length in headers if kind == _PT_DYNAMIC), None)
        if dynamic is None:
            raise ValueError("no shared library")
        file.seek(dynamic[0])
        entries = list(struct.iter_unpack("<qQ", file.read(min(dynamic[1], _MOST_HEADERS) // 16 * 16)))
        table = next((value for tag, value in entries if tag == _DT_STRTAB), -1)
        names = next((at + table - start for at, start, length in loads if start <= table < start + length), -1)
        if names < 0:
            raise ValueError("no table of names")

        def name(index: int) -> str:
            file.seek(names + index)
            return file.read(256).split(b"\0")[0].decode(errors="replace")

        soname = next((name(value) for tag, value in entries if tag == _DT_SONAME), "")
        return soname, [name(value) for tag, value in entries if tag == _DT_NEEDED]


def symbols(library: Library) -> Section:
    """Say which functions are missing, and what cannot be done without them."""
    missing = absent(library)
    known = len(DISABLED)
    text = f"{known - len(missing)} of the {known} functions that clients use or the manual has are there."
    if not missing:
        return Section("Functions", text=text)
    return Section("Functions", ("missing", "so this cannot be done"), missing, text)


def shared_segments(title: str) -> Section:
    """List the library's segments: what is there before connecting was left by somebody."""
    found = segments()
    rows = [(segment.path.name, f"{segment.size} bytes", str(segment.owner), _state(segment)) for segment in found]
    text = "" if rows else f"None in {SHARED_MEMORY}."
    return Section(title, ("segment", "size", "owner", "state"), rows, text)


def _state(segment: Segment) -> str:
    if segment.users:
        return f"in use by process {', '.join(map(str, segment.users))}"
    if segment.ours and segment.unknown:
        return f"left alone: process {', '.join(map(str, segment.unknown))} cannot be looked into, and may use it"
    return "stale: removed before connecting" if segment.stale else "not seen in use; another user's, left alone"


def _settings(directory: Path) -> Iterator[tuple[str, str]]:
    yield "directory", str(directory)
    try:
        files = sorted(directory.iterdir())
    except OSError as error:
        yield "files", f"CANNOT BE READ: {error.strerror}"
        return
    closed = [file.name for file in files if not os.access(file, os.R_OK)]
    yield "files", f"{len(files)}" + (f", e.g. {files[0].name}" if files else ": EMPTY")
    yield "not readable", ", ".join(closed) or "none"
