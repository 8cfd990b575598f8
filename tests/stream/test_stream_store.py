"""The last event is remembered behind a refusal."""

import pytest

from xsp3ioc.stream.parameter import Severity
from xsp3ioc.stream.store import Store


@pytest.fixture
def store():
    return Store(channels=4)


@pytest.fixture
def told(store):
    updates = []
    store.subscribe(updates.append)
    return updates


def test_the_last_event_comes_back_after_a_refusal(store, told):
    store.say("Erased Data")
    store.refuse("frames", None, ValueError("NumImages = 0 is below 1"))
    assert store.values["status_message"] == "NumImages = 0 is below 1"
    assert [update.severity for update in told if update.name == "status_message"][-1] is Severity.minor
    assert store.event == "Erased Data"
    store.refuse("frames", None, ValueError("again"))
    store.forget_refusal()
    assert store.values["status_message"] == "Erased Data"
    assert told[-1].severity is Severity.good
    told.clear()
    store.forget_refusal()
    assert told == []


def test_an_event_takes_the_place_of_a_refusal(store, told):
    store.refuse("frames", None, ValueError("no"))
    store.say("Fault: broken", Severity.major)
    store.forget_refusal()
    assert store.values["status_message"] == "Fault: broken"
    assert told[-1].severity is Severity.major
