"""A question to a server's monitor socket."""

from __future__ import annotations

import zmq

DEFAULT = "tcp://127.0.0.1:9998"


class NoAnswerError(ConnectionError):
    """Nobody answers there."""


def ask(endpoint: str, request: str, timeout: float = 1.5) -> list[bytes]:
    """Return the parts of the answer to `request` (`status`, `header`, `sum` or `image`); part 0 is JSON.

    NoAnswerError after `timeout` seconds without one, ValueError if `endpoint` is no ZeroMQ address.
    """
    context = zmq.Context()
    socket = context.socket(zmq.REQ)
    socket.setsockopt(zmq.LINGER, 0)
    try:
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise ValueError(f"{endpoint} is not an address like {DEFAULT}: {error}") from None
        socket.send_string(request)
        if not socket.poll(round(1000 * timeout)):
            raise NoAnswerError(f"nobody answers at {endpoint}")
        return socket.recv_multipart()
    finally:
        socket.close()
        context.term()
