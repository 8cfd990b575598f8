"""Blocks compressed on their way out, each once for all subscribers that want it so."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import msgspec

from xsp3ioc.stream.bslz4 import compress, load
from xsp3ioc.stream.messages import BSLZ4, Image, encode
from xsp3ioc.stream.subscriber import Item

MOST_KEPT = 16
"""Compressed blocks that are kept for those who are behind; who is further behind, costs their compression again."""


class Packer:
    """Makes the parts of messages whose spectra are compressed; for one thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[bytes, bytes]] = OrderedDict()

    @staticmethod
    def prepare() -> None:
        """Load what compresses, before there are frames."""
        load()

    def parts(self, item: Item) -> list[Any] | None:
        """Return the parts of a block's message; None if the message is not one of a block."""
        block, message = item.block, item.message
        if block is None or not isinstance(message, Image):
            return None
        # Only of what is compressed: the block's own memory goes back to the pool as soon as it is sent.
        head, spectra = self._kept.get(item.number) or self._pack(item.number, message, block.mca)
        return [head, spectra, *block.parts()[1:]]

    def _pack(self, number: int, message: Image, mca: Any) -> tuple[bytes, bytes]:
        packed = encode(msgspec.structs.replace(message, compression=BSLZ4)), compress(mca)
        self._kept[number] = packed
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return packed
