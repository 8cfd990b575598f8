"""A system of several cards has a handle for each card: what a call with that means for the whole system.

The composite handle numbers channels over all cards. A card's own handle counts its channels from 0, and has one card.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from xsp3ioc.sdk.cdef import prototypes
from xsp3ioc.sdk.emulator.system import System

_CHANNEL = ("chan", "first_chan", "detector")
_CHANNELS = ("num_chan", "n_chan")

_SELF = {
    "xsp3_get_num_chan", "xsp3_get_max_num_chan", "xsp3_get_num_cards", "xsp3_resolve_path",
    "xsp3_scaler_check_progress", "xsp3_scaler_check_progress_details", "xsp3_histogram_get_circ_overrun",
}  # fmt: skip
"""Functions that see to it themselves."""
_PSEUDO_CHANNELS = {"xsp3_read_marker_chan", "xsp3_setup_marker_chan"}
_EVERY_CARD = {
    "xsp3_clocks_setup", "xsp3_dma_config_memory", "xsp3_set_glob_timeA", "xsp3_set_glob_timeFixed", "xsp3_itfg_setup",
    "xsp3_itfg_setup2", "xsp3_itfg_stop", "xsp3_itfg_start", "xsp3_set_alt_ttl_out", "xsp3_set_trig_in_term",
    "xsp3_set_trig_out_term", "xsp3_set_glob_trigger_select", "xsp3_histogram_start", "xsp3_histogram_arm",
    "xsp3_histogram_continue", "xsp3_histogram_pause", "xsp3_histogram_stop", "xsp3_system_start_count_enb",
    "xsp3_i2c_read_adc_temp", "xsp3_i2c_read_fem_temp", "xsp3_i2c_set_adc_temp_limit", "xsp3_scope_wait",
    "xsp3_read_scope_data", "xsp3m_set_readout_mode", "xsp3_set_user_ts_sync_mode", "xsp3_playback_load_x3",
    "xsp3_write_playback_data",
}  # fmt: skip
"""Functions for which a negative card stands for all."""
_EVERY_CHANNEL = {
    "xsp3_format_run", "xsp3_format_sub_frames", "xsp3_init_roi", "xsp3_set_roi", "xsp3_set_window",
    "xsp3_set_good_thres", "xsp3_set_trigger_b", "xsp3_set_trigger_b_ringing", "xsp3_set_chan_cont",
    "xsp3_set_chan_cont2", "xsp3_bram_init", "xsp3_setDeadtimeCorrectionParameters",
    "xsp3_setDeadtimeCorrectionParameters2",
}  # fmt: skip
"""Functions for which a negative channel stands for all."""
_NUMBER_OF_CHANNELS = {"xsp3_read_format": 3}
"""Functions that say how many channels there are, and to which argument."""


class OutsideLeaf(Exception):  # noqa: N818
    """A card, channel or range that the card behind the handle does not have; `kind` says which."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Part(NamedTuple):
    """What is behind a handle: a system, and which of its cards and channels."""

    system: System
    cards: range
    channels: range


class Place(NamedTuple):
    """Where a function's arguments name cards and channels; None if they don't."""

    card: int | None
    channel: int | None
    channels: int | None
    row: int | None
    """Channel times its auxiliary rows."""
    rows: int | None


def place_of(name: str) -> Place | None:
    """Return where a function's arguments name cards and channels; None if it needs no translation."""
    prototype = prototypes().get(name)
    if prototype is None or name in _SELF or prototype.parameters[:1] != ("path",):
        return None
    names = prototype.parameters

    def position(*wanted: str) -> int | None:
        return next((index for index, parameter in enumerate(names) if parameter in wanted), None)

    if name in _PSEUDO_CHANNELS:
        return Place(None, None, None, None, None)
    return Place(position("card"), position(*_CHANNEL), position(*_CHANNELS), position("y"), position("dy"))


def leaf_path(path: int, cards: int, card: int) -> int:
    """Return the handle of one card of a system; a single card's is the system's."""
    return path if cards == 1 else path + 1 + card


def call_on_leaf(
    name: str, place: Place, part: Part, path: int, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> Any:
    """Call a function with a card's handle as it is called for that with the system's, `path`.

    Raises `OutsideLeaf` for what the card does not have.
    """
    given = [path, *arguments[1:]]
    if place.card is not None:
        given[place.card] = _card(name, part, given[place.card])
    if place.row is not None and place.rows is not None:
        given[place.row] = _row(part, given[place.row], given[place.rows])
    if place.channel is None:
        return function(*given)
    channel = given[place.channel]
    count = 1 if place.channels is None else given[place.channels]
    if channel < 0 and name in _EVERY_CHANNEL:
        return max(_each_channel(place.channel, part, function, given), default=0)
    if not 0 <= channel < len(part.channels):
        raise OutsideLeaf("channel", f"channel {channel} is outside 0..{len(part.channels) - 1}")
    if not 1 <= count <= len(part.channels) - channel:
        raise OutsideLeaf("range", f"num_chan = {count} is outside 1..{len(part.channels) - channel}")
    given[place.channel] = part.channels[channel]
    answer = function(*given)
    if name in _NUMBER_OF_CHANNELS:
        given[_NUMBER_OF_CHANNELS[name]][0] = len(part.channels)
    return answer


def _card(name: str, part: Part, card: int) -> int:
    """Return the card's number in the system."""
    if card >= 1 or (card < 0 and name not in _EVERY_CARD):
        raise OutsideLeaf("card", f"card {card} is outside 0..0")
    return part.cards[0]


def _row(part: Part, row: int, count: int) -> int:
    rows = [form.rows for form in part.system.layouts.formats]
    before, own = sum(rows[: part.channels.start]), sum(rows[part.channels.start : part.channels.stop])
    if count < 1 or not 0 <= row <= own - count:
        raise OutsideLeaf("range", f"y: {count} from {row} on is not within 0..{own - 1}")
    return before + row


def _each_channel(place: int, part: Part, function: Callable[..., Any], given: list[Any]) -> list[Any]:
    found = []
    for channel in part.channels:
        given[place] = channel
        found.append(function(*given))
    return found
