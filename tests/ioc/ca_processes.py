"""A server process with a free port and a random prefix, and libca clients in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

from server_process import free_port

TOY = Path(__file__).with_name("toy_server.py")
PATIENCE = 300
"""Seconds after which a test has failed; nothing here takes so long."""


class Toy:
    """A running toy server."""

    def __init__(self, *options: str, port: int | None = None, listen: str = "127.0.0.1"):
        self.prefix = f"T{secrets.token_hex(4)}{{x}}:"
        command = [sys.executable, TOY, "--prefix", self.prefix, "--listen", listen, *options]
        self.process = subprocess.Popen(
            [*command, "--port", str(port or free_port())], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.communicate()[1])
        self.tcp_port, self.search_port = map(int, line.split())

    @property
    def environment(self) -> dict[str, str]:
        return {
            "EPICS_CA_ADDR_LIST": "127.0.0.1",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_SERVER_PORT": str(self.search_port),
            "EPICS_CA_MAX_ARRAY_BYTES": "1000000",
        }

    def stop(self) -> tuple[int, str]:
        """SIGTERM; the exit code and what it said on stderr."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors


class Client:
    """A function in a process of its own, with a libca of its own; the process can be stopped."""

    def __init__(self, environment: dict[str, str], function, *arguments):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, environment, function, arguments), daemon=True)
        self.process.start()
        theirs.close()

    def result(self):
        """What the function returned; what it raised is raised here."""
        good, value = self.hear()
        self.process.join(PATIENCE)
        self.end()
        if not good:
            raise AssertionError(value)
        return value

    def hear(self):
        if not self.pipe.poll(PATIENCE):
            raise AssertionError("the client says nothing")
        return self.pipe.recv()

    def end(self):
        if self.process.is_alive():
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.join(PATIENCE)
        self.pipe.close()


def _work(pipe, environment, function, arguments):
    os.environ.update(environment)
    try:
        answer = True, function(*arguments)
    except BaseException as problem:
        import traceback

        answer = False, f"{problem!r}\n{traceback.format_exc()}"
    pipe.send(answer)
    pipe.close()
    # libca's threads do not always let a process end.
    os._exit(0)
