"""What is said to the data socket: whether it is understood, and what is answered to those whom it does not know."""

from __future__ import annotations

import hmac

from xsp3ioc.stream.messages import (
    COMPRESSIONS,
    NONE,
    VERSION,
    FromReceiver,
    Hello,
    ProtocolError,
    Refused,
    Unknown,
    decode_from_receiver,
    encode,
)
from xsp3ioc.stream.subscriber import LONGEST_NAME, MOST_CREDIT, Subscriber

MOST_ANSWERS = 20
"""To each connection, about what it should not have sent: one that never reads them holds no more of the memory."""
MOST_KNOWN = 4096
"""Connections whose answers are counted."""
HELLO = f"""{{"htype": "hello", "name": "map", "version": {VERSION}, "credit": 16, "compression": "none"}}"""
RANGES = f"credit is 1 to {MOST_CREDIT}, compression {' or '.join(COMPRESSIONS)}"
WAY = f"""; a receiver sends {HELLO} ({RANGES}), then {{"htype": "credit", "n": 1}} for each image"""
"""What it may send, behind what was wrong."""


def understand(parts: list[bytes]) -> FromReceiver:
    """Return the message of a receiver; ProtocolError says what is wrong with it, and what one sends."""
    if len(parts) != 1:
        raise ProtocolError(f"message of {len(parts)} parts: a receiver sends 1{WAY}")
    try:
        return decode_from_receiver(parts[0])
    except ProtocolError as error:
        raise ProtocolError(f"{error}{WAY}") from None


def newcomer(identity: bytes, hello: Hello, token: str, compression: str) -> Subscriber:
    """Return the subscriber that says `hello`; ProtocolError: it cannot be taken.

    `token` is the writer's, `compression` that of the spectra for those who ask for none in particular.
    """
    if hello.version != VERSION:
        raise ProtocolError(f"version {hello.version}: this server speaks {VERSION}")
    if hello.credit < 1:
        raise ProtocolError(f"credit {hello.credit} is below 1: it may be 1 to {MOST_CREDIT}")
    compression = hello.compression or compression
    if compression not in COMPRESSIONS:
        raise ProtocolError(f"compression {compression[:64]!r}: it may be {', '.join(COMPRESSIONS)}")
    writer = bool(token) and hmac.compare_digest(hello.token.encode(), token.encode())
    return Subscriber(
        identity,
        hello.name[:LONGEST_NAME],
        min(hello.credit, MOST_CREDIT),
        writer,
        hello.library[:24],
        compressed=compression != NONE and not writer,
    )


class Strangers:
    """Makes the answers, as long as there are not too many."""

    def __init__(self) -> None:
        self._answers: dict[bytes, int] = {}
        """How many each connection got."""

    def refuse(self, identity: bytes, error: ProtocolError) -> list[bytes]:
        """Return the parts of the answer to what is not taken; empty: there were enough."""
        return self._answer(identity, Refused(error=str(error)))

    def ask_for_hello(self, identity: bytes, message: FromReceiver) -> list[bytes]:
        """Return the parts of the answer to somebody who has not said hello; empty: there were enough."""
        # It may have been meant for a server that was here before, by one who is about to say hello: no refusal.
        htype = message.__struct_config__.tag
        return self._answer(identity, Unknown(error=f"{htype} from somebody who has not said hello{WAY}"))

    def _answer(self, identity: bytes, answer: Refused | Unknown) -> list[bytes]:
        if identity not in self._answers and len(self._answers) >= MOST_KNOWN:
            self._answers.clear()
        count = self._answers[identity] = self._answers.get(identity, 0) + 1
        return [identity, encode(answer)] if count <= MOST_ANSWERS else []
