"""A real server in a process of its own, on free ports, with a prefix of its own."""

from __future__ import annotations

import itertools
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

# Below those that a system hands out to whoever asks for any, and some for each of the processes that run tests: what
# was free a moment ago is so when the server binds it.
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_ports = itertools.cycle(random.SystemRandom().sample(range(20_000 + _worker % 16, 32_000, 16), 750))


def free_port() -> int:
    """A port that nobody has, for TCP and UDP; another one each time."""
    for port in itertools.islice(_ports, 750):
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("every port that the tests may have is taken")


def toml(tables: dict[str, dict]) -> str:
    """A configuration file of tables of plain values."""

    def value(v):
        if isinstance(v, bool):
            return str(v).lower()
        if isinstance(v, dict):
            return "{" + ", ".join(f"{k} = {value(x)}" for k, x in v.items()) + "}"
        if isinstance(v, list | tuple):
            return "[" + ", ".join(map(value, v)) + "]"
        return repr(v) if isinstance(v, int | float) else '"' + str(v).replace("\\", "\\\\").replace('"', '\\"') + '"'

    lines = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {value(one)}" for key, one in table.items())]
    return "\n".join(lines)


class ServerProcess:
    """A server whose configuration file is made from keyword tables (server, detector, emulator, parameters).

    What it saves is in the directory too: one with the same prefix finds the settings of the one before.
    """

    def __init__(self, directory: Path, *arguments: str, **tables: dict):
        self.prefix = tables.get("server", {}).get("prefix") or f"T{uuid.uuid4().hex[:8]}:"
        self.port = free_port()
        ports = {"ca_port": self.port, "data_port": 0, "monitor_port": 0}
        tables["server"] = {"prefix": self.prefix} | ports | tables.get("server", {})
        tables["detector"] = tables.get("detector", {"emulate": True})
        self.state = directory / "state" / "xsp3ioc"
        config = directory / f"{self.prefix[:-1]}.toml"
        config.write_text(toml(tables))
        self.log = directory / f"{self.prefix[:-1]}.log"
        self._error = self.log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "xsp3ioc", "--config", str(config), "-v", *arguments],
            stdout=subprocess.PIPE, stderr=self._error, cwd=directory, text=True,
            env=os.environ | {"XDG_STATE_HOME": str(directory / "state")},
        )  # fmt: skip
        self.banner = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.banner += line
            if line.startswith("Ctrl-C"):
                break
        else:
            raise AssertionError(f"the server ended: {self.process.wait(60)}\n{self.log.read_text()}")
        self.data = re.search(r"data stream +(\S+)", self.banner)[1]
        self.monitor = re.search(r"monitor +(\S+)", self.banner)[1]

    @property
    def environment(self) -> dict[str, str]:
        """For libca clients of this server."""
        return os.environ | dict(re.findall(r"export (EPICS_\w+)=(\S+)", self.banner))

    def stop(self, signum: int = signal.SIGTERM, patience: float = 60.0) -> int:
        """End it by signal; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signum)
        try:
            return self.process.wait(patience)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()
            self._error.close()

    def children(self) -> list[int]:
        """Process numbers of its children (the file writer)."""
        # Each thread has children of its own.
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for task in tasks for pid in task.read_text().split()]

    def wait_for_log(self, text: str, seconds: float = 60.0) -> None:
        """Until its log says so."""
        deadline = time.monotonic() + seconds
        while text not in self.log.read_text():
            assert time.monotonic() < deadline, f"{text!r} is not in the log:\n{self.log.read_text()}"
            time.sleep(0.02)
