"""Where the sockets of a server are, as people write it."""

from __future__ import annotations

import argparse
import re

DATA_PORT, MONITOR_PORT = 9999, 9998
LARGEST_PORT = 65535
_TCP = re.compile(r"(?:tcp://)?(?P<host>[^\s:/]+)(?::(?P<port>[0-9]{1,5}))?")


def address(text: str, port: int) -> str:
    """Return the ZeroMQ address that `host`, `host:port` or `tcp://host:port` means; `port` is the usual one.

    An `ipc://` address is what it is. ValueError: it is none of these; ZeroMQ would go on trying for ever.
    """
    if text.startswith("ipc://"):
        return text
    match = _TCP.fullmatch(text)
    if match and 1 <= (number := int(match["port"] or port)) <= LARGEST_PORT:
        return f"tcp://{match['host']}:{number}"
    raise ValueError(
        f"{text!r} is not an address like host, host:{port} or tcp://host:{port} (by name or IPv4; ports are 1 to "
        f"{LARGEST_PORT})"
    )


def add_address(parser: argparse.ArgumentParser, option: str, which: str, port: int) -> None:
    """Add the option that says where a server is; `which` of its sockets, with `port` the usual one."""
    parser.add_argument(
        option, default="127.0.0.1", metavar="ADDRESS",
        help=f"the server's {which} socket: host, host:port or tcp://host:port (default: of this host, port {port})",
    )  # fmt: skip
