"""xspress3.h for programs that are compiled against the emulator's shared library."""

from collections.abc import Iterator
from pathlib import Path

from xsp3ioc.sdk.cdef import Prototype, constants, prototypes, types

CLOSE_WITH_TWO_ARGUMENTS = "XSP3_CLOSE_TWO_ARGUMENTS"
"""Define this before the header, in C, for the newest form of xsp3_close; C++ takes either form."""

_PATH_STRUCTURE = Path(__file__).parent.parent / "data" / "xsp3path.h"

# One client is compiled with this name; no public document says its value. The emulator ignores the register's bits.
_UNKNOWN_VALUES = {"XSP3M_CC2_SEND_RESET_WIDTHS": "0x1000"}

TIMING_FLAGS = {"XSP3_GLOB_TIMA_F0_INV": "0x8", "XSP3_GLOB_TIMA_VETO_INV": "0x10", "XSP3_GLOB_TIMA_LOOP_IO": "0x80"}
"""Flags of the timing register (sdk.md 3.4), under the names that programs in C use."""

# Its fields. Programs that read the header without a compiler look for `#define` and pass over these.
_TIMING_FIELDS = """\
# define XSP3_GLOB_TIMA_TF_SRC(x) ((x) & 7)
# define XSP3_GLOB_TIMA_DEBOUNCE(x) (((x) & 255) << 16)
# define XSP3_GLOB_TIMA_ALT_TTL(x) (((x) & 15) << 24)
"""

_OPENING = """\
/* xspress3.h - C interface of libxspress3.so as the emulator of xsp3ioc offers it; made by `xsp3ioc emulator build`.
 * Every constant is one line with a literal value, so that programs can read them without a C compiler.
 */
#ifndef XSPRESS3_H
#define XSPRESS3_H 1

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
"""

_CLOSING = """
#ifdef __cplusplus
}
#endif

#endif
"""

_CLOSE = f"""\
#if defined(__cplusplus)
int xsp3_close(int path, Xsp3Unlink unlink_what = Xsp3UnlinkNone);
#elif defined({CLOSE_WITH_TWO_ARGUMENTS})
int xsp3_close(int path, Xsp3Unlink unlink_what);
#else
int xsp3_close(int path);
#endif"""


def xspress3_header() -> str:
    """Return the text of the header; valid C99 and C++11."""
    return "\n".join([_OPENING, *_constants(), "", _TIMING_FIELDS, *_types(), *_functions(), _CLOSING])


def _constants() -> Iterator[str]:
    # The line must start with #define and have exactly three words: it is parsed by other programs.
    for name, value in (constants() | _UNKNOWN_VALUES | TIMING_FLAGS).items():
        yield f"#define {name} {value}"


def _types() -> Iterator[str]:
    yield from map(_with_library_types, types())
    yield ""
    yield _PATH_STRUCTURE.read_text(encoding="utf-8")


def _functions() -> Iterator[str]:
    for prototype in prototypes().values():
        yield _CLOSE if prototype.name == "xsp3_close" else f"{_declaration(prototype)};"


def _declaration(prototype: Prototype) -> str:
    return _with_library_types(prototype.text).replace("* ", "*")


def _with_library_types(text: str) -> str:
    """Spell 32-bit words as the library's users do."""
    return text.replace("uint32_t", "u_int32_t")
