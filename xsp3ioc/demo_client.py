"""The demo's Channel Access client: it knows PV names and nothing else of the server."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np
from caproto import CaprotoError, ChannelType
from caproto.threading.client import PV, Context, Subscription

TIMEOUT = 15.0


class ClientError(RuntimeError):
    """A PV was not found, or a write was refused."""


class PutCallback:
    """A write whose completion the server tells: `wait` for it."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._status: Any = None

    def __call__(self, response: Any) -> None:
        """Take the server's answer."""
        self._status = response.status
        self._done.set()

    def wait(self, seconds: float) -> bool:
        """Return whether the answer has come, after `seconds` at most."""
        return self._done.wait(seconds)

    @property
    def succeeded(self) -> bool:
        """Whether it went as asked; only once the answer has come."""
        return bool(self._status.success)


class Client:
    """Reads, writes and monitors PVs by name, with the EPICS_* variables `environment` and no other ones."""

    def __init__(self, environment: dict[str, str]) -> None:
        for name in [name for name in os.environ if name.startswith("EPICS_")]:
            del os.environ[name]
        os.environ.update(environment)
        # What goes wrong comes as an exception, or as the server's last words.
        logging.getLogger("caproto").setLevel(logging.CRITICAL)
        self._context = Context(timeout=TIMEOUT)
        self._watched: list[tuple[Subscription, Callable[..., None]]] = []

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.disconnect()

    def get(self, name: str) -> Any:
        """Return a PV's value: a number, a text (CHAR array), or an array."""
        response = self._answered(name, lambda pv: pv.read())
        if response.data_type == ChannelType.CHAR:
            return bytes(response.data).split(b"\0")[0].decode("utf-8", "replace")
        return response.data[0].item() if len(response.data) == 1 else np.asarray(response.data)

    def put(self, name: str, value: float | str) -> None:
        """Write, and wait until it is done; ClientError if it is refused."""
        response = self._answered(name, lambda pv: pv.write(_wire(value)))
        if not response.status.success:
            raise ClientError(f"{name} = {value} was refused")

    def start(self, name: str, value: float | str) -> PutCallback:
        """Write, and go on: what the write starts may take long."""
        done = PutCallback()
        self._answered(name, lambda pv: pv.write(_wire(value), wait=False, notify=True, callback=done, timeout=None))
        return done

    def watch(self, name: str, changed: Callable[[Any], None]) -> None:
        """Have `changed(value)` called, in another thread, now and at every change of a scalar PV."""

        def update(_: Subscription, response: Any) -> None:
            changed(response.data[0].item())

        subscription = self._answered(name, lambda pv: pv.subscribe())
        # caproto refers to callbacks weakly.
        self._watched.append((subscription, update))
        subscription.add_callback(update)

    def _answered(self, name: str, act: Callable[[PV], Any]) -> Any:
        try:
            (pv,) = self._context.get_pvs(name)
            pv.wait_for_connection()
            return act(pv)
        except (CaprotoError, TimeoutError) as error:
            raise ClientError(f"{name}: {error}") from error


def _wire(value: float | str) -> Any:
    return value.encode() + b"\0" if isinstance(value, str) else [value]
