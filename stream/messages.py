"""The native data protocol, version 1: every message that the server and its receivers exchange.

A message is a ZeroMQ multipart: part 0 is JSON with the key `htype`, the rest is raw data, little endian, C order.
The server's socket is a ROUTER; a receiver is a DEALER that says `hello`, and returns credit as it consumes.

    receiver -> server                     server -> receiver
    hello  {name, version, credit}
                                           capture      a file begins (nothing to do for one who writes none)
                                           header       a series begins
                                           image        + spectra, scalers, factors, frames: one block
    credit {n}                             (every image costs one credit)
                                           series_end   why it ended, and what was acquired, written, missing
                                           capture_end  the file is complete
                                           flush        (to the server's own writer only)
                                           ping         nothing to do
    written, opened, closed, failed        (reports of the server's own writer only)

Parts of an `image` of n frames, c channels, b bins:
    1 spectra   `type`   (n, c, b)  counts per bin; as they are, or as an HDF5 chunk if `compression` says so
    2 scalers   uint32   (n, c, 9)  in the order of the hardware, ticks and counts
    3 factors   float64  (n, c)     dead-time correction, ClockTicks / (ClockTicks - dead ticks)
    4 frames    FRAME_DTYPE (n,)    time, markers and status of each frame
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from xsp3ioc.stream.attributes import CHANNEL_COLUMNS as CHANNEL_COLUMNS
from xsp3ioc.stream.attributes import CONST as CONST
from xsp3ioc.stream.attributes import EPICS_PV as EPICS_PV
from xsp3ioc.stream.attributes import FRAME_TYPES as FRAME_TYPES
from xsp3ioc.stream.attributes import PARAM as PARAM
from xsp3ioc.stream.attributes import TEXT as TEXT
from xsp3ioc.stream.attributes import Attribute as Attribute
from xsp3ioc.stream.attributes import AttributeSet as AttributeSet
from xsp3ioc.stream.attributes import DataType as DataType
from xsp3ioc.stream.attributes import Kind as Kind
from xsp3ioc.stream.attributes import Value as Value
from xsp3ioc.stream.blocks import EPICS_EPOCH as EPICS_EPOCH
from xsp3ioc.stream.blocks import FRAME_DTYPE as FRAME_DTYPE
from xsp3ioc.stream.blocks import SCALERS as SCALERS
from xsp3ioc.stream.blocks import Block as Block
from xsp3ioc.stream.blocks import FrameStatus as FrameStatus
from xsp3ioc.stream.blocks import Gap as Gap
from xsp3ioc.stream.blocks import frame_bytes, lay_out
from xsp3ioc.stream.bslz4 import Packed as Packed
from xsp3ioc.stream.bslz4 import divisible as divisible
from xsp3ioc.stream.bslz4 import join as join
from xsp3ioc.stream.orders import MOST_PARTS as MOST_PARTS
from xsp3ioc.stream.orders import Capture as Capture
from xsp3ioc.stream.orders import CaptureEnd as CaptureEnd
from xsp3ioc.stream.orders import Closed as Closed
from xsp3ioc.stream.orders import Failed as Failed
from xsp3ioc.stream.orders import Flush as Flush
from xsp3ioc.stream.orders import Message as Message
from xsp3ioc.stream.orders import Opened as Opened
from xsp3ioc.stream.orders import SettingsFiles as SettingsFiles
from xsp3ioc.stream.orders import Written as Written
from xsp3ioc.stream.orders import part_name as part_name
from xsp3ioc.stream.orders import reserve as reserve
from xsp3ioc.stream.orders import row_bytes as row_bytes

PROTOCOL = "xsp3ioc"
VERSION = 1
COMPRESSIONS = NONE, BSLZ4 = ("none", "bslz4")
"""Of the spectra of a block: as they are, or as HDF5's bitshuffle filter with LZ4 makes them a chunk."""
EVENT_WIDTH, LIBRARY = DEAD_TIME_MODELS = ("Event Width", "Library")
"""How dead-time factors are made: by the event-width formula, or by the vendor's library."""


class Hello(Message, tag="hello"):
    """A receiver asks for the stream; `credit` blocks may be on their way to it at any time."""

    name: str
    version: int = VERSION
    credit: int = 16
    token: str = ""
    """Known to the server's own writer only; its reports are believed."""
    library: str = ""
    """Version of the HDF5 library that a writer has."""
    compression: str = ""
    """Of the spectra, one of `COMPRESSIONS`; empty: as the server has it."""


class Credit(Message, tag="credit"):
    """`n` more blocks have been consumed."""

    n: int = 1


class Refused(Message, tag="refused"):
    """The server's answer to a message that it does not take; the receiver should give up."""

    error: str


class Unknown(Message, tag="unknown"):
    """The answer to one who has not said `hello`, which comes first; who has said it meanwhile need not mind."""

    error: str


class Ping(Message, tag="ping"):
    """Nothing to do: the server finds out whether a receiver that gives no credit is still there."""


class Header(Message, tag="header"):
    """A series begins: everything that a late or remote reader has to know."""

    msg_number: int
    series_id: int
    capture_id: int
    """The capture that this series is written to; 0: none."""
    filename: str
    frames: int
    """Frames asked for; 0: until stopped."""
    channels: int
    bins: int
    exposure: float
    """Counting time of one frame, s; 0 where an external gate sets it."""
    gap: float
    clock_period: float
    """Seconds per tick of the scalers."""
    trigger_mode: str
    time: float
    """Start of the series, s since 1970, UTC."""
    times: str
    """Where the frames' times come from: `ticks` (start + counted ticks and gaps) or `read-out` (estimated)."""
    event_widths: list[float]
    """Dead ticks per event, less one, of each channel, as used for the factors."""
    energy_offset: list[float]
    """eV at the centre of bin 0, per channel."""
    energy_slope: list[float]
    """eV per bin, per channel."""
    windows: list[list[list[int]]]
    """[channel][window] -> [low, high], bins, inclusive."""
    good_thresholds: list[int]
    simulated: bool
    detector: str
    host: str
    server: str
    """Program and version."""
    library: str
    firmware: str
    parameters: dict[str, Any]
    """All parameters of the server at the start of the series."""
    rois: list[list[tuple[str, int, int]]] = []
    """[channel] -> name, first bin and number of bins of each ROI that is in use."""
    dead_time_model: str = EVENT_WIDTH
    """How the dead-time factors are made: one of `DEAD_TIME_MODELS`."""
    first: int = 0
    """Number of the first frame that follows; only for the server's own writer, when a file begins in mid-series."""
    attributes: AttributeSet = AttributeSet()
    """Beside each frame; the values that do not follow from the frame itself come with the blocks."""
    units: dict[str, str] = {}
    """Of those parameters that have one."""
    command: str = ""
    """Command line of the server."""
    settings_files: SettingsFiles = SettingsFiles()
    """The calibration that the library has read or written last."""
    protocol: str = PROTOCOL
    version: int = VERSION
    type: str = "uint32"


class Image(Message, tag="image"):
    """One block: `shape[0]` consecutive frames from `frame` on."""

    msg_number: int
    series_id: int
    frame: int
    shape: tuple[int, int, int]
    type: str = "uint32"
    compression: str = "none"
    """Of the spectra, one of `COMPRESSIONS`."""
    shared: tuple[int, int] | msgspec.UnsetType = msgspec.UNSET
    """For the server's own writer, which gets no other parts: where the block lies in the server's memory (bytes from
    its begin), and for how many frames it was laid out. It stays there until its credit is returned."""
    attributes: dict[str, Value] = {}
    """Values of the header's attributes when the block was read; null: there was none."""
    missing: Sequence[Gap] = ()
    """Frames before it that nobody gets; known already, and named again by `series_end`."""


class SeriesEnd(Message, tag="series_end"):
    """The series is over: `acquired` frames were read; those that are missing are named."""

    msg_number: int
    series_id: int
    reason: str
    """`complete`, `stopped`, or what went wrong."""
    acquired: int
    streamed: int | None = None
    """Frames sent to every subscriber, counted when this message was made."""
    written: int | None = None
    """Frames flushed to the server's file; None: not written, or not known yet."""
    missing: list[Gap] = []
    """Frames that nobody got."""
    lost: list[Gap] = []
    """Frames that this one receiver did not get, because it was too slow."""


FromServer = Capture | Header | Image | SeriesEnd | CaptureEnd | Flush | Ping | Refused | Unknown
FromReceiver = Hello | Credit | Opened | Written | Closed | Failed

_from_server = msgspec.json.Decoder(FromServer)
_from_receiver = msgspec.json.Decoder(FromReceiver)

encode = msgspec.json.Encoder().encode


class ProtocolError(ValueError):
    """A message is not of this protocol."""


def decode_from_server(part: bytes | memoryview) -> FromServer:
    """Part 0 of a message of the server; ProtocolError if it is none."""
    return _decode(_from_server, part)


def decode_from_receiver(part: bytes | memoryview) -> FromReceiver:
    """Part 0 of a message of a receiver; ProtocolError if it is none."""
    return _decode(_from_receiver, part)


def _decode(decoder: msgspec.json.Decoder, part: bytes | memoryview) -> Any:
    try:
        return decoder.decode(part)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"not a message of {PROTOCOL} {VERSION}: {error}") from error


def image_of(
    block: Block, msg_number: int, attributes: dict[str, Value] | None = None, missing: Sequence[Gap] = ()
) -> Image:
    """JSON part of a block's message; `attributes`: values beside its frames, `missing`: frames before it."""
    channels, bins = block.mca.shape[1:]
    shape = (len(block), channels, bins)
    return Image(
        msg_number=msg_number,
        series_id=block.series_id,
        frame=block.first,
        shape=shape,
        attributes=attributes or {},
        missing=missing,
    )


def block_from_parts(image: Image, parts: Sequence[Any]) -> Block:
    """Block whose arrays lie over `parts` (buffers 1..4 of a message, not copied); ProtocolError if sizes disagree."""
    frames, channels, bins = image.shape
    if image.type != "uint32" or image.compression not in COMPRESSIONS:
        known = f"uint32 and {', '.join(COMPRESSIONS)}"
        raise ProtocolError(f"spectra of type {image.type}, compression {image.compression}: known are {known}")
    if len(parts) != 4:
        raise ProtocolError(f"image of {1 + len(parts)} parts: it has 5")
    try:
        return Block(
            image.series_id,
            image.frame,
            Packed.from_chunk(memoryview(parts[0]), image.shape)
            if image.compression == BSLZ4
            else np.frombuffer(parts[0], "<u4").reshape(frames, channels, bins),
            np.frombuffer(parts[1], "<u4").reshape(frames, channels, SCALERS),
            np.frombuffer(parts[2], "<f8").reshape(frames, channels),
            np.frombuffer(parts[3], FRAME_DTYPE).reshape(frames),
            attributes=image.attributes,
            missing=image.missing,
        )
    except ValueError as error:
        raise ProtocolError(f"image of shape {image.shape}: {error}") from error


def block_from_pool(image: Image, pool: memoryview) -> Block:
    """Block whose arrays lie in the server's `pool`; valid until its credit is returned."""
    frames, channels, bins = image.shape
    if image.shared is msgspec.UNSET:
        raise ProtocolError("image without parts that does not say where it lies")
    start, laid_out = image.shared
    stop = start + laid_out * frame_bytes(channels, bins)
    if not (0 <= start and frames <= laid_out and stop <= len(pool)):
        raise ProtocolError(f"image at {start}..{stop} of a memory of {len(pool)} bytes")
    arrays = lay_out(np.frombuffer(pool[start:stop], np.uint8), laid_out, channels, bins)
    block = arrays.block(image.series_id, image.frame, frames)
    return dataclasses.replace(block, attributes=image.attributes, missing=image.missing)
