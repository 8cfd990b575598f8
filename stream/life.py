"""The life cycle of the detector: everything that moves its state is this table."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """What the detector is doing."""

    disconnected = "disconnected"
    connecting = "connecting"
    idle = "idle"
    acquiring = "acquiring"
    finishing = "finishing"
    """All frames are read, or it was stopped; the sinks still take the last ones."""
    fault = "fault"


TRANSITIONS: dict[tuple[State, str], State] = {
    (State.disconnected, "connect"): State.connecting,
    (State.idle, "connect"): State.connecting,
    (State.fault, "connect"): State.connecting,
    (State.connecting, "connected"): State.idle,
    (State.connecting, "fail"): State.disconnected,
    (State.idle, "arm"): State.acquiring,
    (State.acquiring, "last_frame"): State.finishing,
    (State.acquiring, "stop"): State.finishing,
    (State.finishing, "drained"): State.idle,
    (State.finishing, "abandon"): State.idle,
    (State.idle, "fail"): State.fault,
    (State.acquiring, "fail"): State.fault,
    (State.finishing, "fail"): State.fault,
    (State.fault, "fail"): State.fault,
    (State.idle, "lost"): State.disconnected,
    (State.disconnected, "fail"): State.disconnected,
    (State.fault, "reset"): State.idle,
    (State.idle, "reset"): State.idle,
    (State.idle, "disconnect"): State.disconnected,
    (State.fault, "disconnect"): State.disconnected,
    (State.disconnected, "disconnect"): State.disconnected,
}


class StateError(RuntimeError):
    """The detector cannot do this in the state that it is in."""


class StoppedError(StateError):
    """A series was stopped before it began; nothing is wrong."""


def after(state: State, event: str) -> State:
    """State that follows `event`; StateError says in which states it is possible."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        allowed = ", ".join(known.value for known, name in TRANSITIONS if name == event)
        raise StateError(f"Cannot {event} while {state.value}; possible when {allowed}") from None
