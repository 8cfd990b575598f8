"""Sockets of the Channel Access server: which addresses it hears searches on and says that it is there."""

from __future__ import annotations

import asyncio
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Callable

ANY = "0.0.0.0"
_SIOCGIFADDR, _SIOCGIFNETMASK = 0x8915, 0x891B


def broadcast_addresses(listen: str) -> list[str]:
    """Find the broadcast address of the network that `listen` is on; of every network for 0.0.0.0."""
    found = []
    for _, name in socket.if_nameindex():
        address, mask = _ask(name, _SIOCGIFADDR), _ask(name, _SIOCGIFNETMASK)
        if address is None or mask is None:
            continue
        network = ipaddress.IPv4Interface(f"{address}/{mask}").network
        if network.prefixlen < 31 and (listen == ANY or ipaddress.IPv4Address(listen) in network):
            found.append(str(network.broadcast_address))
    return found


def _ask(interface: str, request: int) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock, request, struct.pack("256s", interface.encode()))
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])


def listen_tcp(address: str, port: int) -> socket.socket:
    """Listen on `port`, or on a free port when another server has it.

    Not only bind: two servers that start together could both bind a port, and the second would fail later.
    """
    try:
        return _listening(address, port)
    except OSError:
        return _listening(address, 0)


def _listening(address: str, port: int) -> socket.socket:
    # asyncio switches Nagle off only where the protocol is named; each reply would wait 40 ms for an acknowledgement.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(128)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def bind_udp(address: str, port: int) -> socket.socket:
    """Make a socket that shares its port with the other servers on this host."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    try:
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


class Datagrams(asyncio.DatagramProtocol):
    """Hands every datagram to a function; errors that others cause are not ours."""

    def __init__(self, received: Callable[[bytes, tuple[str, int]], None]):
        self._received = received

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Hand it on."""
        self._received(data, addr)

    def error_received(self, exc: Exception) -> None:
        """Ignore that a client is gone, or that a beacon's network is down."""
