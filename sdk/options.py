"""The library's rarer numbers as enumerations: options of connecting, formats, playback, monitors."""

from enum import IntEnum, IntFlag


class InitFlag(IntFlag):
    """How far `Xspress3.configure` initialises; `none` looks at a running system without writing its registers."""

    none = 0
    normal = 0x1
    no_udp_registers = 0x10000
    no_scope_socket = 0x20000
    no_histogram_lut = 0x40000
    no_histogram_threads = 0x80000


class MiniReadout(IntFlag):
    """What a Mini sends."""

    auto = 0
    scalers = 1
    frames = 2
    list = 4
    passive = 0x100


class DummySystem(IntEnum):
    """The library's own system without hardware; it is none of this project's emulator."""

    real = 0
    xspress3 = 1
    xspress3_v7 = 2
    mini = 3
    xspress4 = 4


class Aux1Mode(IntEnum):
    """What the first auxiliary dimension of the spectra tells."""

    none = 0
    minimum_div8 = 1
    threshold = 2
    log = 3
    top = 4
    bottom = 5
    minimum = 6
    pileup = 7
    lut_setup = 8
    lut_threshold = 9
    charge_sharing = 10
    charge_sharing_encoded = 11
    t6b4 = 12
    good_grade = 15
    list = 100


class Aux2Mode(IntEnum):
    """What the second auxiliary dimension of the spectra tells."""

    adc = 0
    width = 1
    reset_start_adc = 2
    neighbour_reset_adc = 3
    neighbour_reset_start_adc = 4
    time_from_reset = 5
    neighbour_time_from_reset = 6
    neighbour_time_from_reset_x8 = 7


class FormatFlag(IntFlag):
    """Options of the format."""

    mark_charge_sharing = 0x2
    delete_charge_sharing = 0x4
    user_timestamp = 0x8
    pileup_reject = 0x80000000


class DataSource(IntEnum):
    """Where a channel's data come from: bits 2..0 of its control register."""

    normal = 0
    alternate = 1
    multiplexed = 2
    external0 = 4
    external1 = 5
    playback = 6
    global_reset = 7


class BramRegion(IntEnum):
    """Memories of a channel; `quotient` holds its energy gain."""

    registers = 0
    quotient = 3
    roi = 4


class ThreadingFlag(IntFlag):
    """Threads that the library is told not to start."""

    no_scope = 1
    no_measured_trigger = 2


class FanRegister(IntEnum):
    """Registers of the fan controller; temperatures in half degrees Celsius."""

    mode = 0
    start = 1
    temperature = 2
    maximum = 6
    set_point = 7
    p_constant = 8
    i_constant = 9
    current_point = 10
    log = 11


class Xadc(IntEnum):
    """Channels of the FPGAs' own monitor."""

    zynq_temperature = 0
    virtex7_temperature = 1
    zynq_vcc_int = 2
    zynq_vcc_aux = 3
    zynq_vcc_bram = 4
    zynq_vcc_pint = 5
    zynq_vcc_paux = 6
    zynq_vcco_ddr = 7
    virtex7_vcc_int = 8
    virtex7_vcc_aux = 9
    virtex7_vcc_bram = 10


class LogFlag(IntFlag):
    """Options of the library's log of temperatures and voltages."""

    start_new_file = 1
    keep_files = 2
    no_adc_temperatures = 0x10
