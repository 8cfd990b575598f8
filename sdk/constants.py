"""The library's numbers as enumerations, under the words this project uses."""

from enum import IntEnum, IntFlag

SCALERS = 9
BINS = 4096


class Status(IntEnum):
    """What a library function answers that has nothing else to say."""

    ok = 0
    error = -1
    invalid_path = -2
    illegal_card = -3
    illegal_subpath = -4
    invalid_dma_stream = -5
    range_check = -6
    invalid_scope_module = -7
    out_of_memory = -8
    device_not_found = -9
    cannot_open_file = -10
    file_read_failed = -11
    file_write_failed = -12
    file_rename_failed = -13
    log_file_missing = -14
    would_block = -20


class Generation(IntEnum):
    """Hardware generation of a card."""

    xspress3 = 0
    xspress3_v7 = 1
    mini = 2
    xspress4 = 3


class RunFlag(IntFlag):
    """Which streams run; `circular` lets frames wrap around the memory as they are acknowledged."""

    playback = 0x1
    scope = 0x2
    scalers = 0x4
    histogram = 0x8
    diagnostics = 0x10
    circular = 0x100


class ClockSource(IntEnum):
    """Where the ADC and processing clock comes from (`mini_*` also names the Xspress4's ADC board)."""

    internal = 0
    crystal = 1
    external = 2
    fpga = 3
    mini_cdcm61004 = 0x10
    mini_lmk61e2 = 0x11
    midplane_cdcm61004 = 0x20
    midplane_lmk61e2 = 0x21


class ClockFlag(IntFlag):
    """Options of the clock set-up that a user may want."""

    master = 0x1
    no_dither = 0x2
    stage1_only = 0x4
    no_check = 0x8


class SyncMode(IntEnum):
    """Cabling between boxes."""

    none = 0
    lemo_radial = 1
    lemo_daisychain = 2
    idc = 3
    midplane = 4
    lemo_daisychain_tee = 5


class TimingSource(IntEnum):
    """Who makes frames."""

    software = 0
    internal = 1
    software_marker = 2
    idc = 3
    ttl_veto = 4
    ttl_both = 5
    lvds_veto = 6
    lvds_both = 7


class TimingBit(IntEnum):
    """Bit positions of the timing register A that a user sets."""

    invert_f0 = 3
    invert_veto = 4
    loop_io = 7
    frame_capture = 14
    debounce = 16
    ttl_out = 24


class TtlOut(IntEnum):
    """What a card's TTL outputs show; further cards are triggered by the veto."""

    veto = 0
    all = 1
    veto_run = 2
    veto_global_reset = 4
    all_global_reset = 5
    in_window = 8
    in_window_live = 9
    in_window_live_toggle = 10
    in_window_good_live = 11
    in_window_good_live_toggle = 12


class MarkerSource(IntEnum):
    """Where the markers of a frame come from."""

    ttl = 0
    software = 1
    itfg = 2


class ItfgTrigger(IntEnum):
    """What starts the frames of the internal time frame generator."""

    burst = 0
    software = 1
    hardware = 2
    software_only_first = 5
    hardware_only_first = 6


class GapMode(IntEnum):
    """Time between two frames of the internal time frame generator."""

    ns25 = 0
    ns200 = 1
    ns500 = 2
    us1 = 3

    @property
    def cycles(self) -> int:
        """The gap in clock cycles of an 80 MHz clock."""
        return (2, 16, 40, 80)[self]

    @property
    def debounce(self) -> int:
        """Debounce in clock cycles recommended for the daisy-chained cards that see this gap on their veto input."""
        return (0, 10, 30, 70)[self]


class InPause(IntEnum):
    """Whether frames of the internal time frame generator collect between triggers.

    With `all`, frame 0 also holds what came before the first trigger.
    """

    off = 0
    all = 1
    all_but_first = 2


class ErrorFlag(IntFlag):
    """What went wrong in a run, as reported with the progress."""

    playback_underrun = 0x1
    scope_overrun = 0x2
    histogram_overrun = 0x4
    histogram_missing = 0x8
    scaler_overrun = 0x10
    scaler_missing = 0x20
    diagnostics_overrun = 0x40
    descriptor_overrun = 0x200
    frame_mismatch = 0x400
    packet_order = 0x800
    descriptor_count = 0x1000
    socket_error = 0x2000
    circular_overrun = 0x10000
    descriptor_overrun_scalers = 0x20000
    frame_mismatch_scalers = 0x40000
    packet_order_scalers = 0x80000
    descriptor_count_scalers = 0x100000
    socket_error_scalers = 0x200000
    circular_overrun_scalers = 0x1000000


class Scaler(IntEnum):
    """Index of each of the nine scalers of a channel."""

    ticks = 0
    reset_ticks = 1
    resets = 2
    all_event = 3
    all_good = 4
    window0 = 5
    window1 = 6
    pileup = 7
    total_ticks = 8


class DeadtimeFlag(IntFlag):
    """Options of the library's own dead-time correction, per channel."""

    omit_channel = 1
    use_good_event = 2
