"""The detector's connection and health, and all about the file."""

from __future__ import annotations

from xsp3ioc.screens.names import named
from xsp3ioc.screens.panel import MARGIN, Columns, Panel
from xsp3ioc.screens.screen import OF_DETECTOR, TOP, WIDTH, Screen

COLUMN = (WIDTH - 3 * MARGIN) // 2 // 5 * 5
WIDE = Columns(title=165, setpoint=215, readback=160, unit=60)


def connect_screen() -> Screen:
    """Make `xsp3_connect`: connection, identity, health, inputs."""
    upper, lower = Panel.height_of(12), Panel.height_of(8)
    screen = Screen("Connection  $(P)$(R)", WIDTH, TOP + upper + lower + 2 * MARGIN)
    screen.links(OF_DETECTOR, "xsp3_connect.bob")
    right, below = MARGIN + COLUMN + MARGIN, TOP + upper + MARGIN
    _connection(Panel(screen, "Connection", MARGIN, TOP, COLUMN, upper, WIDE))
    _health(Panel(screen, "Health", right, TOP, COLUMN, upper, WIDE))
    _identity(Panel(screen, "Identity", MARGIN, below, COLUMN, lower, WIDE))
    _inputs(Panel(screen, "Inputs and formats", right, below, COLUMN, lower, WIDE))
    return screen


def _connection(panel: Panel) -> None:
    panel.buttons(
        ("Connect", named("CONNECT"), 1), ("Disconnect", named("DISCONNECT"), 1), ("Reset", named("RESET"), 1),
        bold=True,
    )  # fmt: skip
    panel.set_state("Reconnect by itself", named("AutoReconnect"))
    panel.set_text("Calibration", named("CONFIG_PATH"))
    panel.set_text("Save calibration in", named("CONFIG_SAVE_PATH"))
    panel.buttons(
        ("Restore calibration", named("RESTORE_SETTINGS"), 1), ("Save calibration", named("SAVE_SETTINGS"), 1)
    )
    panel.set_number("Channels", named("NUM_CHANNELS"))
    panel.set_number("Frames to configure", named("NUM_FRAMES_CONFIG"))
    panel.show_number("Channels at most", named("MAX_NUM_CHANNELS_RBV"))
    panel.show_number("Cards", named("NUM_CARDS_RBV"))
    panel.show_number("Frames in the ring", named("MAX_FRAMES_RBV"))


def _health(panel: Panel) -> None:
    panel.show_number("Heartbeat", named("Heartbeat_RBV"))
    panel.show_number("Temperature", named("TemperatureActual"))
    panel.show_bar("Room before loss", named("RingHeadroom"))
    panel.show_number("Lasts for", named("SecondsToOverrun"))
    panel.show_number("Frames missing", named("FramesMissing"))
    panel.show_number("Subscribers", named("Subscribers"))
    panel.show_number("Dropped by the file", named("/HDF1:DroppedArrays_RBV"))
    panel.show_number("Mean dead time", named("/MeanDeadTime_RBV"))
    panel.show_number("Max. dead time", named("/MaxDeadTime_RBV"))
    panel.set_state("Log", named("LogLevel"))
    y = panel.next()
    panel.label("Server", MARGIN, y, panel.columns.title)
    panel.button(
        "Restart server", named("RESTART"), 1, panel.columns.x[0], y, panel.columns.both,
        confirm="End the server, for its supervisor to start it anew?",
    )  # fmt: skip


def _identity(panel: Panel) -> None:
    for title, name in (
        ("Maker", "Manufacturer_RBV"),
        ("Model", "Model_RBV"),
        ("Firmware", "FirmwareVersion_RBV"),
        ("Library", "SDKVersion_RBV"),
        ("Server", "DriverVersion_RBV"),
        ("areaDetector", "ADCoreVersion_RBV"),
        ("Port", "PortName_RBV"),
    ):
        panel.show_text(title, named(name))


def _inputs(panel: Panel) -> None:
    panel.set_number("Invert frame zero", named("INVERT_F0"))
    panel.set_number("Invert veto", named("INVERT_VETO"))
    panel.set_number("Debounce", named("DEBOUNCE"))
    panel.set_state("Run flags", named("RUN_FLAGS"))
    panel.set_state("Dead-time model", named("DeadTimeModel"))
    panel.set_state("Stop on overrun", named("StopOnOverrun"))
    panel.set_state("Array callbacks", named("ArrayCallbacks"))
    panel.show_text("Data type", named("DataType_RBV"))


def file_screen() -> Screen:
    """Make `xsp3_file`: name, format, outcome, speed and room on the disk."""
    upper, lower = Panel.height_of(14), Panel.height_of(6)
    screen = Screen("File  $(P)$(R)", WIDTH, TOP + upper + lower + 2 * MARGIN)
    screen.links(OF_DETECTOR, "xsp3_file.bob")
    right, below = MARGIN + COLUMN + MARGIN, TOP + upper + MARGIN
    _name(Panel(screen, "Name", MARGIN, TOP, COLUMN, upper, WIDE))
    _format(Panel(screen, "Format", right, TOP, COLUMN, upper, WIDE))
    _outcome(Panel(screen, "Outcome", MARGIN, below, COLUMN, lower, WIDE))
    _speed(Panel(screen, "Speed, and room on the disk", right, below, COLUMN, lower, WIDE))
    return screen


def _name(panel: Panel) -> None:
    capture, write = named("/HDF1:Capture"), named("/HDF1:WriteFile")
    panel.buttons(("Open file", capture, 1), ("Close file", capture, 0), ("Write captured", write, 1), bold=True)
    panel.set_text("Directory", named("/HDF1:FilePath"))
    panel.set_text("Name", named("/HDF1:FileName"))
    panel.set_text("Template", named("/HDF1:FileTemplate"))
    panel.set_number("Number", named("/HDF1:FileNumber"))
    panel.set_state("Next number by itself", named("/HDF1:AutoIncrement"))
    panel.set_number("Make directories", named("/HDF1:CreateDirectory"))
    panel.show_text("Directory exists", named("/HDF1:FilePathExists_RBV"))
    panel.set_state("Overwrite", named("/HDF1:Overwrite"))
    panel.set_state("Save by itself", named("/HDF1:AutoSave"))
    panel.set_state("Enable", named("/HDF1:EnableCallbacks"))


def _format(panel: Panel) -> None:
    panel.set_state("Mode", named("/HDF1:FileWriteMode"))
    panel.set_number("Frames per file", named("/HDF1:NumCapture"))
    panel.set_number("Frames per part", named("/HDF1:FramesPerPart"))
    panel.set_number("Size of a part", named("/HDF1:GigabytesPerPart"))
    panel.set_state("Compression", named("/HDF1:Compression"))
    panel.set_number("zlib level", named("/HDF1:ZLevel"))
    panel.set_number("Frames per chunk", named("/HDF1:NumFramesChunks"))
    panel.set_number("Flush every", named("/HDF1:NumFramesFlush"))
    panel.set_state("Open with first frame", named("/HDF1:LazyOpen"))
    panel.set_state("SWMR", named("/HDF1:SWMRMode"))
    panel.show_text("SWMR is", named("/HDF1:SWMRActive_RBV"))
    panel.set_text("Attributes (XML)", named("NDAttributesFile"), named("NDAttributesStatus"))
    panel.buttons(("Flush now", named("/HDF1:FlushNow"), 1))


def _outcome(panel: Panel) -> None:
    panel.show_text("Capture", named("/HDF1:Capture_RBV"))
    panel.show_text("Last file", named("/HDF1:FullFileName_RBV"))
    panel.show_text("Outcome", named("/HDF1:WriteStatus"))
    panel.show_text("Message", named("/HDF1:WriteMessage"))
    panel.show_number("Frames in file", named("/HDF1:NumCaptured_RBV"))
    panel.show_number("Dropped", named("/HDF1:DroppedArrays_RBV"))


def _speed(panel: Panel) -> None:
    panel.show_number("Frames written", named("FramesWritten"))
    panel.show_number("Time per file", named("/HDF1:RunTime"))
    panel.show_number("Speed", named("/HDF1:IOSpeed"))
    panel.show_number("Free on the disk", named("/HDF1:DiskFree_RBV"))
    panel.show_number("Frames that fit", named("/HDF1:FramesLeft_RBV"))
    panel.show_number("Lasts for", named("/HDF1:SecondsLeft_RBV"))
