"""A disk that fails, or does not answer, when it is told to: a library under the writer, made from system_disk.c."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).with_name("system_disk.c")


class Disk:
    """`environment` is for the server whose writer shall write to it."""

    def __init__(self, directory):
        self._orders = directory / "orders"
        self._orders.mkdir()
        library = directory / "disk.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-o", str(library), str(SOURCE), "-ldl"], check=True)
        self.environment = {"LD_PRELOAD": str(library), "XSP3IOC_TEST_DISK": str(self._orders)}

    def fail(self, number):
        """All writes fail with this errno from now on."""
        waiting = self._orders / "new"
        waiting.write_text(str(number))
        waiting.rename(self._orders / "fail")

    def heal(self):
        for order in self._orders.iterdir():
            order.unlink()

    @contextmanager
    def held(self):
        """No write returns meanwhile."""
        (self._orders / "hold").touch()
        try:
            yield
        finally:
            self.heal()
