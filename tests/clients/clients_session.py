"""The client's side of these tests: functions of a test module, run in a process with a libca of its own."""

from __future__ import annotations

import time

PATIENCE = 60
"""Seconds after which a client has waited in vain; nothing here takes so long."""


class Session:
    """Run functions as `function(session, *arguments)`; they leave in `kept` what the next ones need.

    What has to be imported for a client is imported by its functions: the warnings of third parties are theirs, and
    pytest's own process stays without libca.
    """

    def __init__(self, prefix: str, directory: str):
        self.prefix = prefix
        self.directory = directory
        self.kept: dict = {}

    def run(self, function, *arguments):
        return function(self, *arguments)

    def keep(self, name, make):
        """What `make()` made the first time."""
        if name not in self.kept:
            self.kept[name] = make()
        return self.kept[name]


def until(condition, what, seconds=PATIENCE):
    """Wait for a condition; return what it was."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not come within {seconds} s"
        time.sleep(0.005)
    return found
