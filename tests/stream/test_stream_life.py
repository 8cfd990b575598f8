"""The life cycle: every state and event, against the table as it is meant, written down a second time."""

import pytest

from xsp3ioc.stream.declared import DETECTOR_STATES
from xsp3ioc.stream.life import TRANSITIONS, State, StateError, after
from xsp3ioc.stream.system_commands import SHOWN_STATE

EVENTS = (
    "arm", "last_frame", "drained", "stop", "abandon", "fail", "reset", "connect", "connected", "disconnect", "lost"
)  # fmt: skip
# One row per state, one column per event, in the order of EVENTS.
MEANT = {
    "disconnected": "- - - - - disconnected - connecting - disconnected -",
    "connecting": "- - - - - disconnected - - idle - -",
    "idle": "acquiring - - - - fault idle connecting - disconnected disconnected",
    "acquiring": "- finishing - finishing - fault - - - - -",
    "finishing": "- - idle - idle fault - - - - -",
    "fault": "- - - - - fault idle connecting - disconnected -",
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", EVENTS)
def test_every_state_and_event(state, event):
    meant = MEANT[state.value].split()[EVENTS.index(event)]
    if meant != "-":
        assert after(state, event) is State(meant)
        return
    with pytest.raises(StateError, match=f"Cannot {event} while {state.value}; possible when"):
        after(state, event)


def test_there_are_no_other_events():
    assert {event for _, event in TRANSITIONS} == set(EVENTS)


def test_every_state_can_be_left_and_is_shown():
    for state in State:
        assert any(before is state and then is not state for (before, _), then in TRANSITIONS.items())
        assert SHOWN_STATE[state] in DETECTOR_STATES
