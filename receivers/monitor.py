"""A question to a server's monitor socket."""

from __future__ import annotations

import zmq

DEFAULT = "tcp://127.0.0.1:9998"
CONNECT = 1.5
"""Seconds for a server to be reached; one that is there takes a request at once."""


class NoAnswerError(ConnectionError):
    """Nobody answers there."""


def ask(endpoint: str, request: str, timeout: float = 1.5) -> list[bytes]:
    """Return the parts of the answer to `request` (`status`, `header`, `sum` or `image`); part 0 is JSON.

    NoAnswerError if nobody is there, or after `timeout` seconds without an answer; ValueError if `endpoint` is no
    ZeroMQ address.
    """
    context = zmq.Context()
    socket = context.socket(zmq.REQ)
    socket.setsockopt(zmq.LINGER, 0)
    # Nothing is taken before somebody is there: who waits long for a large answer hears soon that nobody is.
    socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.setsockopt(zmq.SNDTIMEO, round(1000 * CONNECT))
    try:
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise ValueError(f"{endpoint} is not an address like {DEFAULT}: {error}") from None
        try:
            socket.send_string(request)
            answered = socket.poll(round(1000 * timeout))
        except zmq.Again:
            answered = False
        if not answered:
            raise NoAnswerError(f"nobody answers at {endpoint}")
        return socket.recv_multipart()
    finally:
        socket.close()
        context.term()
