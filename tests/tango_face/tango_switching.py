"""A device whose commands for window counts come and go with its Init; a server of its own: give it name and port."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from tango.server import Device, command, run

from xsp3ioc.stream.window_counts import WindowCounts
from xsp3ioc.tango.read_commands import ReadCommands


class Switching(ReadCommands, Device):
    core = SimpleNamespace(window_counts=WindowCounts(2))

    def init_device(self):
        super().init_device()
        self.serve_counts()

    @command(dtype_in=bool)
    def Keep(self, kept):  # noqa: N802
        self.core.window_counts.enabled = kept


if __name__ == "__main__":
    name, port = sys.argv[1:]
    end_point = f"giop:tcp:127.0.0.1:{port}"
    run((Switching,), ["Switching", "test", "-nodb", "-dlist", name, "-ORBendPoint", end_point])
