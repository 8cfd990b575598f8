"""The server that the demo starts: the command `xsp3ioc --emulate` in a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from types import TracebackType

START_TIMEOUT = 30.0
STOP_TIMEOUT = 12.0
"""Seconds: the server promises to end within 10."""
BANNER = re.compile(r"Channel Access +(\S*)Acquire, (\S*)HDF1:.* data stream +(\S+).*Ctrl-C", re.DOTALL)
EXPORT = re.compile(r"export (EPICS_\w+)=(\S+)")


class ServerError(RuntimeError):
    """The server did not start, or died; the message has its own last words."""


class EmulatedServer:
    """An emulated detector's server on free ports; it ends with the `with` block.

    Nothing of the user's EPICS_* variables reaches it: it is to be found by its own client only.
    """

    def __init__(self, *arguments: str) -> None:
        self._output = tempfile.TemporaryFile()
        command = [sys.executable, "-m", "xsp3ioc", "--emulate", "--data-port", "0", "--monitor-port", "0"]
        command += ["--no-autosave", "--ca-port", str(_free_port()), *arguments]
        # A session of its own: Ctrl-C is for the demo, which then stops the server in order.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("EPICS_")},
        )
        try:
            banner = self._wait_for_banner()
        except BaseException:
            self.stop()
            raise
        self.detector_prefix, self.prefix, self.data = banner.group(1, 2, 3)
        """Prefixes of `Acquire` and `HDF1:Capture`, and the address of the data stream."""
        self.environment = dict(EXPORT.findall(banner.string))
        """What Channel Access clients of this server set."""

    def __enter__(self) -> EmulatedServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The server's process number."""
        return self._process.pid

    def check(self) -> None:
        """Raise ServerError if the server has ended."""
        code = self._process.poll()
        if code is not None:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise ServerError(f"The server {how}. Its last words:\n{self.last_words()}")

    def stop(self) -> None:
        """End the server by SIGTERM, as the system would; kill it when it does not end."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        finally:
            # Only if it did not end in time, or the user had no patience.
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()

    def last_words(self) -> str:
        """Return the end of what the server has said behind its banner, indented."""
        said = self._said().partition("Ctrl-C stops it.\n")
        lines = (said[2] if said[1] else said[0]).splitlines()[-12:]
        return "\n".join(f"  {line}" for line in lines) or "  (nothing)"

    def _wait_for_banner(self) -> re.Match[str]:
        deadline = time.monotonic() + START_TIMEOUT
        while not (banner := BANNER.search(self._said())):
            self.check()
            if time.monotonic() > deadline:
                raise ServerError(f"The server is not ready after {START_TIMEOUT:g} s.\n{self.last_words()}")
            time.sleep(0.02)
        return banner

    def _said(self) -> str:
        # Not by reading on: the file's offset is the server's too, and it would write over what is there.
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode("utf-8", "replace")


def _free_port() -> int:
    """Return a port that nobody had a moment ago, for TCP and for UDP."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port
