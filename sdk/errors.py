"""What the library's refusals become: one exception class per kind of status."""

# ruff: noqa: N818 (named after what happened)

from xsp3ioc.sdk.constants import Status


class Xspress3Error(Exception):
    """A library function answered with a negative status; carries `function`, `status` and the library's `message`.

    `advice` says what can be done about errors of its kind; empty where the message has to do.
    """

    advice = ""

    def __init__(self, function: str, status: int, message: str = "") -> None:
        words = message.removeprefix(f"{function}: ") or "no message from the library"
        text = f"{function}: {words} (status {status})"
        super().__init__(f"{text}; {self.advice}" if self.advice else text)
        self.function = function
        self.status = status
        self.message = message


class InvalidPath(Xspress3Error):
    """The handle is not, or no longer, open (XSP3_INVALID_PATH)."""

    advice = "connect again with Xspress3.configure"


class IllegalCard(Xspress3Error):
    """No such card or channel (XSP3_ILLEGAL_CARD, XSP3_ILLEGAL_SUBPATH)."""


class OutOfRange(Xspress3Error):
    """An argument is outside what the library accepts (XSP3_RANGE_CHECK)."""


class OutOfMemory(Xspress3Error):
    """The library could not allocate its buffers (XSP3_OUT_OF_MEMORY)."""

    advice = "ask for fewer frames, or make room in /dev/shm"


class DeviceNotFound(Xspress3Error):
    """The electronics did not answer (XSP3_ERR_DEV_NOT_FOUND)."""

    advice = "check power, cable and base_ip"


class SettingsFileError(Xspress3Error):
    """A settings directory could not be opened, read or written (XSP3_CANNOT_OPEN_FILE and its neighbours)."""

    advice = "check the path and who may read and write it"


class WouldBlock(Xspress3Error):
    """The call would have to wait (XSP3_WOULD_BLOCK)."""

    advice = "try again"


class MissingFunction(Xspress3Error):
    """The loaded library is older than this function; raised when it is called, not when the library is loaded."""

    def __init__(self, function: str, library: str) -> None:
        super().__init__(function, -1, f"{library} does not have this function; it needs a newer libxspress3")
        self.library = library


class LibraryNotLoaded(OSError):
    """The vendor library could not be opened, or is something else; says the path, the reason and what to do."""


_BY_STATUS: dict[int, type[Xspress3Error]] = {
    Status.invalid_path: InvalidPath,
    Status.illegal_card: IllegalCard,
    Status.illegal_subpath: IllegalCard,
    Status.range_check: OutOfRange,
    Status.out_of_memory: OutOfMemory,
    Status.device_not_found: DeviceNotFound,
    Status.cannot_open_file: SettingsFileError,
    Status.file_read_failed: SettingsFileError,
    Status.file_write_failed: SettingsFileError,
    Status.file_rename_failed: SettingsFileError,
    Status.would_block: WouldBlock,
}


def error_for(status: int) -> type[Xspress3Error]:
    """Return the exception class for a negative library status, `Xspress3Error` where there is no special one."""
    return _BY_STATUS.get(status, Xspress3Error)
