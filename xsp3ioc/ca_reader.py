"""Read PVs of one server over a connection of our own: no search, so no other server can answer."""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Callable
from typing import Any

import caproto

TIMEOUT = 5.0


class ReadError(ConnectionError):
    """The server is not there, or does not answer in Channel Access."""


class Reader:
    """A connection; the `with` block ends it. ReadError: there is none, or there is no answer."""

    def __init__(self, host: str, port: int) -> None:
        try:
            self._socket = socket.create_connection((host, port), TIMEOUT)
        except OSError as error:
            raise ReadError(f"no Channel Access at {host}:{port}: {error.strerror or error}") from None
        self._circuit = caproto.VirtualCircuit(caproto.CLIENT, (host, port), 0)
        self._open: dict[str, caproto.ClientChannel | None] = {}
        self._send(caproto.VersionRequest(priority=0, version=caproto.DEFAULT_PROTOCOL_VERSION))
        self._send(caproto.HostNameRequest(socket.gethostname()))
        self._send(caproto.ClientNameRequest(_user()))

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def channel(self, name: str) -> caproto.ClientChannel | None:
        """Return the channel of a PV: its native type, count and access rights; None if there is no such PV."""
        if name in self._open:
            return self._open[name]
        channel = caproto.ClientChannel(name, self._circuit)
        self._send(channel.create())
        failed = self._wait(
            lambda command: isinstance(command, caproto.CreateChFailResponse) and command.cid == channel.cid,
            lambda: channel.states[caproto.CLIENT] is caproto.CONNECTED,
        )
        self._open[name] = channel if failed is None else None
        return self._open[name]

    def read(self, channel: caproto.ClientChannel, kind: str) -> Any:
        """Return the answer to a read, with `data` and `metadata`; `kind`: native, time, control."""
        request = channel.read(data_type=caproto.field_types[kind][channel.native_data_type])
        self._send(request)
        return self._wait(
            lambda command: isinstance(command, caproto.ReadNotifyResponse) and command.ioid == request.ioid
        )

    def _send(self, command: Any) -> None:
        try:
            self._socket.sendall(b"".join(self._circuit.send(command)))
        except OSError as error:
            raise ReadError(f"the server has ended the connection: {error.strerror or error}") from None

    def _wait(self, answers: Callable[[Any], bool], done: Callable[[], bool] = lambda: False) -> Any:
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            try:
                received = self._socket.recv(1 << 16)
            except OSError:
                break
            commands, _ = self._circuit.recv(received)
            answer = None
            for command in commands:
                if command is caproto.DISCONNECTED:
                    raise ReadError("the server has ended the connection")
                self._circuit.process_command(command)
                if answers(command):
                    answer = command
            if answer is not None or done():
                return answer
        raise ReadError(f"no answer within {TIMEOUT:g} s")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "?"  # a user without a name, as in containers
