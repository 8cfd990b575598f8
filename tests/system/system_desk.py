"""A process that does what it is told, one call after the other: a libca client, or a subscriber of the stream."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback

PATIENCE = 90
"""Seconds after which a test has failed; nothing here takes so long."""


class Desk:
    """`make(*arguments)` in a process of its own; its public methods can be called from here."""

    def __init__(self, make, *arguments, environment: dict[str, str] | None = None):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, environment or {}, make, arguments), daemon=True)
        self.process.start()
        theirs.close()
        self._hear()

    def __getattr__(self, name):
        def call(*arguments, **options):
            self.tell(name, *arguments, **options)
            return self._hear()

        return call

    def tell(self, name, *arguments, **options):
        """Begin a call; `answer` is its result."""
        self._pipe.send((name, arguments, options))

    def answer(self):
        return self._hear()

    def has_answered(self):
        """Whether `answer` would not have to wait."""
        return self._pipe.poll(0)

    def _hear(self):
        assert self._pipe.poll(PATIENCE), "the process says nothing"
        good, value = self._pipe.recv()
        assert good, value
        return value

    def signal(self, signum):
        os.kill(self.process.pid, signum)

    def end(self):
        if self.process.is_alive():
            self.process.kill()
        self.process.join(PATIENCE)
        self._pipe.close()


def _work(pipe, environment, make, arguments):
    # Ctrl-C is for the tests; they end us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(environment)
    made = None
    name = make.__name__
    while True:
        try:
            if made is None:
                made = make(*arguments)
                answer = True, None
            else:
                name, arguments, options = pipe.recv()
                answer = True, getattr(made, name)(*arguments, **options)
        except EOFError:
            os._exit(0)
        except BaseException as problem:
            answer = False, f"{name}{arguments}: {problem!r}\n{traceback.format_exc()}"
        pipe.send(answer)
