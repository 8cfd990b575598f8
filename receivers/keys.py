"""Keys of a receiver, for servers whose sockets are open to known clients only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import zmq
from zmq.auth import create_certificates, load_certificate

OWN, SERVERS = "XSP3IOC_KEY", "XSP3IOC_SERVER_KEY"
"""Environment: the file with one's own secret key, and that with the server's public one."""


def secure(socket: zmq.Socket[Any], endpoint: str) -> None:
    """Have a socket use the keys that the environment names, if any; ValueError if they cannot be used.

    Not inside of the host, where the server's own writer gets its frames.
    """
    own, server = os.environ.get(OWN), os.environ.get(SERVERS)
    if not (own or server) or not endpoint.startswith("tcp:"):
        return
    if not (own and server):
        raise ValueError(f"{OWN} and {SERVERS} name files of keys, both or none")
    try:
        public, secret = load_certificate(own)
        if secret is None:
            raise ValueError(f"{own} has no secret key: it is the file that ends with .key_secret")
        socket.curve_serverkey = load_certificate(server)[0]
    except OSError as error:
        raise ValueError(f"{OWN}, {SERVERS}: {error}") from None
    socket.curve_publickey, socket.curve_secretkey = public, secret


def connect(socket: zmq.Socket[Any], endpoint: str) -> None:
    """Connect with them; ValueError also if ZeroMQ does not take `endpoint`."""
    secure(socket, endpoint)
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        raise ValueError(f"{endpoint} is not an address: {zmq.strerror(error.errno or 0).lower()}") from None


def make_keys(directory: Path, name: str) -> tuple[Path, Path]:
    """Make a pair of keys, and return the files of the public and of the secret one, which only its owner can read.

    FileExistsError: there is one already; OSError as the file system has it.
    """
    public = directory / f"{name}.key"
    for file in (public, directory / f"{name}.key_secret"):
        if file.exists():
            raise FileExistsError(f"{file} exists: a new key would lock out whoever has that one")
    before = os.umask(0o077)
    try:
        made = create_certificates(directory, name)
    finally:
        os.umask(before)
    public.chmod(0o644)
    return Path(made[0]), Path(made[1])
