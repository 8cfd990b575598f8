"""The emulator's settings as a TOML file, for programs that have no other way to say them."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from xsp3ioc.sdk.emulator.settings import EmulatorSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VARIABLE = "XSP3IOC_EMULATOR"
"""Environment variable that names the file."""

_OTHER_TABLES = {"server", "detector", "parameters"}  # of the server's configuration, which may be the same file


class UnusableSettingsError(ValueError):
    """The file cannot be used; the message is one line that names the file and what is wrong in it."""


def settings_from_environment(environment: Mapping[str, str] = os.environ) -> EmulatorSettings:
    """Return the settings in the file that `VARIABLE` names, the defaults without it.

    Raises `UnusableSettingsError`.
    """
    path = environment.get(VARIABLE, "")
    return read_settings_file(path) if path else EmulatorSettings()


def read_settings_file(path: str) -> EmulatorSettings:
    """Read the fields of `EmulatorSettings` from a file's top level, or from its table [emulator].

    With such a table it may be the server's configuration, whose [detector] gives `channels` and `cards`. Raises
    `UnusableSettingsError`.
    """
    try:
        raw = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UnusableSettingsError(f"Cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnusableSettingsError(f"{path} is not TOML: {error}") from None
    place = path
    if isinstance(raw.get("emulator"), dict):
        place = f"{path}: [emulator]"
        unknown = sorted(raw.keys() - _OTHER_TABLES - {"emulator"})
        if unknown:
            raise UnusableSettingsError(f"{path}: {', '.join(unknown)} outside of [emulator]")
        raw = _of_detector(raw.get("detector")) | raw["emulator"]
    try:
        return msgspec.convert(raw, EmulatorSettings)
    except (msgspec.ValidationError, ValueError) as error:
        raise UnusableSettingsError(f"{place}: {error}{_known(error)}") from None


def _of_detector(table: Any) -> dict[str, Any]:
    return {name: table[name] for name in ("channels", "cards") if name in table} if isinstance(table, dict) else {}


def _known(error: Exception) -> str:
    if "unknown field" not in str(error):
        return ""
    return f"; known are {', '.join(EmulatorSettings.__struct_fields__)}"
