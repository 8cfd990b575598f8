"""Making the emulator a real libxspress3.so, for programs that link or open the vendor's library.

The C functions lead to the same Python object that the server uses: cffi's embedding API, compiled once with gcc.
"""

import contextlib
import io
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cffi

from xsp3ioc.sdk.cdef import Prototype, prototypes, types
from xsp3ioc.sdk.emulator.header import xspress3_header

LIBRARY = "libxspress3.so"
COMPANION = "libimg_mod.so"
HEADER = "xspress3.h"

_MODULE = "_xsp3ioc_libxspress3"
_PREFIX = "py_"
_IN_C = "xsp3_get_error_message"  # answers without Python, in C
_DATA = Path(__file__).parent.parent / "data"
_PACKAGES = Path(sys.modules["xsp3ioc"].__file__ or "").parent.parent

_EXPORTS = "{ global: xsp3_*; xsp3m_*; xsp3ioc_emulated; Xsp3Sys; local: *; };\n"

# The members of XSP3Path that Python fills; the C compiler says where they are.
_PYTHON_SEES = """
typedef struct { uint32_t *buffer; int dropped_frames; int64_t cur_tf_ext; ...; } XSP3Histogram;
typedef struct {
  int type, valid, sub_path[16], num_cards, num_chan, run_flags;
  XSP3Histogram histogram[16];
  Xspress3_features features;
  ...;
} XSP3Path;
extern XSP3Path Xsp3Sys[34];
extern char xsp3ioc_message[1024];
extern int xsp3ioc_owned, xsp3ioc_serving;
"""

_START = """
import sys
from {module} import ffi, lib
try:
    if lib.xsp3ioc_owned:
        sys.path.insert(0, {packages!r})
    try:
        from xsp3ioc.sdk.emulator.embedded import serve
    except ImportError:
        sys.path.extend(place for place in {places!r} if place not in sys.path)
        from xsp3ioc.sdk.emulator.embedded import serve
    serve(ffi, lib)
    lib.xsp3ioc_serving = 1
except BaseException as error:
    text = f"cannot start the emulator: {{type(error).__name__}}: {{error}}".encode()[:1023]
    ffi.memmove(lib.xsp3ioc_message, text + bytes(1), len(text) + 1)
"""


class BuildError(Exception):
    """The library cannot be built here; the message is one line that says what is missing."""


def build(directory: Path) -> list[Path]:
    """Write the library, its empty companion and the header into a directory, which is made; returns the three files.

    Raises `BuildError` when something is needed for that which is not installed, or when the files cannot be written.
    """
    compiler, include, python = _compiler(), _include(), _shared_python()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="xsp3ioc-") as work:
            return _build(compiler, include, python, Path(work), directory)
    except OSError as error:
        raise BuildError(f"cannot write to {error.filename or directory}: {error.strerror}") from error


def _build(compiler: str, include: Path, python: Path, work: Path, directory: Path) -> list[Path]:
    (work / HEADER).write_text(xspress3_header(), encoding="utf-8")
    (work / "exports").write_text(_EXPORTS, encoding="utf-8")
    (work / "companion.c").write_text("typedef int nothing;\n", encoding="utf-8")
    _library_source(work / "library.c", python)
    shared = [compiler, "-O2", "-shared", "-fPIC", "-fvisibility=hidden"]
    _run([*shared, f"-Wl,-soname,{COMPANION}", "-o", str(work / COMPANION), str(work / "companion.c")])
    _run(
        [
            *shared,
            "-Wall",
            "-Werror=incompatible-pointer-types",
            f"-I{include}",
            f"-Wl,-soname,{LIBRARY}",
            f"-Wl,--version-script={work / 'exports'}",
            f"-Wl,-rpath,{python.parent}",
            "-o",
            str(work / LIBRARY),
            str(work / "library.c"),
            str(python),
            "-ldl",
            "-lpthread",
        ]
    )
    # A program may have the old files open: they are replaced, not written into.
    return [_replace(work / name, directory) for name in (LIBRARY, COMPANION, HEADER)]


def _replace(made: Path, directory: Path) -> Path:
    target = directory / made.name
    fresh = directory / f".{made.name}.new"
    shutil.copy(made, fresh)
    fresh.replace(target)
    return target


def _library_source(path: Path, python: Path) -> None:
    builder = cffi.FFI()
    builder.cdef("\n".join([*types(), _PYTHON_SEES]))
    builder.cdef('extern "Python" {' + "".join(f"{_python_declaration(one)};\n" for one in _led_to_python()) + "}")
    builder.embedding_api("")
    builder.embedding_init_code(_START.format(module=_MODULE, packages=str(_PACKAGES), places=_places()))
    builder.set_source(_MODULE, "\n".join(_preamble(python)))
    with contextlib.redirect_stdout(io.StringIO()):  # it says which file it writes
        builder.emit_c_code(str(path))


def _preamble(python: Path) -> Iterator[str]:
    for name, text in (
        ("PYTHON", sys.executable),
        ("VERSION", sysconfig.get_python_version()),
        ("LIBPYTHON", str(python)),
    ):
        yield f"#define XSP3IOC_{name} {json.dumps(text)}"
    yield (_DATA / "shared_library.c").read_text(encoding="utf-8")
    for prototype in _led_to_python():
        arguments = ", ".join(prototype.parameters)
        failure = "NULL" if "*" in prototype.result else "XSP3_ERROR"
        yield f"static {_python_declaration(prototype)};"
        yield f"{_visible(prototype)} {{ return ready() ? {_PREFIX}{prototype.name}({arguments}) : {failure}; }}"


def _led_to_python() -> list[Prototype]:
    return [prototype for name, prototype in prototypes().items() if name != _IN_C]


def _python_declaration(prototype: Prototype) -> str:
    return prototype._replace(name=f"{_PREFIX}{prototype.name}").text


def _visible(prototype: Prototype) -> str:
    return f'__attribute__((visibility("default"))) {prototype.text}'


def _places() -> list[str]:
    """Where this process imports from: what another Python of the same version may lack."""
    return [place for place in (str(_PACKAGES), *sys.path) if place and Path(place).exists()]


def _compiler() -> str:
    found = shutil.which("gcc")
    if found is None:
        raise BuildError("there is no gcc: install the C compiler (Debian: gcc libc6-dev; Red Hat: gcc)")
    return found


def _include() -> Path:
    directory = Path(sysconfig.get_paths()["include"])
    if not (directory / "Python.h").is_file():
        version = sysconfig.get_python_version()
        raise BuildError(
            f"there is no Python.h in {directory}: install the headers of Python {version} "
            "(Debian: python3-dev; Red Hat: python3-devel)"
        )
    return directory


def _shared_python() -> Path:
    """Find the shared libpython of this interpreter."""
    version = sysconfig.get_config_var("LDVERSION") or sysconfig.get_python_version()
    names = [sysconfig.get_config_var("INSTSONAME"), f"libpython{version}.so.1.0", f"libpython{version}.so"]
    directories = [sysconfig.get_config_var("LIBDIR"), f"{sys.base_prefix}/lib", sysconfig.get_config_var("LIBPL")]
    for directory in directories:
        for name in names:
            if directory and name and ".so" in name and (found := Path(directory, name)).is_file():
                return found
    raise BuildError(
        f"Python {sysconfig.get_python_version()} of {sys.base_prefix} has no shared libpython{version}.so: install it "
        "(Debian: python3-dev; Red Hat: python3-libs), or use a Python that was built with --enable-shared"
    )


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line or "cannot find" in line]
        raise BuildError(f"gcc failed: {(lines or done.stderr.splitlines() or ['without a word'])[0]}")
