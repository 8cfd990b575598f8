"""A Tango database, PyTango's own, in a process of its own; and servers that are started with it, or without."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from server_process import free_port

PATIENCE = 60


class TangoDatabase:
    """Register devices, give them properties; `environment` is for servers and clients of it."""

    def __init__(self, directory: Path):
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self._directory = directory
        self.environment = os.environ | {
            "TANGO_HOST": self.host,
            "PYTANGO_DATABASE_NAME": str(directory / "tango.db"),
        }
        self.process: subprocess.Popen | None = None
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tango.databaseds.database", "2"],
            env=self.environment, cwd=self._directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "Ready" in line:
                return
        raise AssertionError(f"the database ended: {self.process.wait(PATIENCE)}")

    def _db(self):
        import tango

        return tango.Database("127.0.0.1", self.port)

    def add(self, server: str, device: str, kind: str = "Xspress3DS", **properties) -> None:
        import tango

        info = tango.DbDevInfo()
        info.name, info._class, info.server = device, kind, server
        self._db().add_device(info)
        self.set(device, **properties)

    def set(self, device: str, **properties) -> None:
        if properties:
            self._db().put_device_property(device, properties)

    def unset(self, device: str, *names: str) -> None:
        self._db().delete_device_property(device, list(names))

    def server_of(self, device: str) -> str:
        return self._db().get_device_info(device).ds_full_name

    def exported(self, device: str) -> bool:
        return bool(self._db().get_device_info(device).exported)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process.stdout.close()
            self.process = None


class Started:
    """A program of ours, run until it serves, or to its end: `code` is its exit code then."""

    def __init__(self, environment: dict[str, str], directory: Path, module: str, *arguments: str):
        self._path = directory / "started.log"
        self._from = self._path.stat().st_size if self._path.exists() else 0
        self._log = self._path.open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=environment, cwd=directory, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip
        self.banner, self.code = "", None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.banner += line
            if line.startswith("Ctrl-C"):
                return
        self.code = self.process.wait(PATIENCE)

    @property
    def name(self) -> str:
        """Of the device, for clients."""
        return re.search(r"tango://\S+", self.banner)[0]

    @property
    def log(self) -> str:
        return self._path.read_bytes()[self._from :].decode()

    def wait(self) -> int:
        """Its exit code, when it has ended by itself."""
        return self.process.wait(PATIENCE)

    def end(self) -> int:
        """Terminate it."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait(PATIENCE)
            self.process.stdout.close()
            self._log.close()


def wait_until(condition, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.02)
