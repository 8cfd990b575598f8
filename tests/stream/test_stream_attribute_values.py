"""The registry of records: who waits, for how long, and what is said of those that do not answer."""

import threading
from concurrent.futures import wait

import pytest

from xsp3ioc.stream.attribute_values import PATIENCE, RecordValues, Wanted

A, B = Wanted("A"), Wanted("B")


@pytest.fixture
def told():
    return []


@pytest.fixture
def values(told):
    return RecordValues(told.append)


def ended(future):
    return wait([future], 20).done


def test_nobody_looks(values, told):
    """Not yet: the server is still starting."""
    assert values.want(frozenset([A])).done()
    heard = []
    values.listen(heard.append)
    assert heard == [{A}]
    assert values.latest(A) is None


def test_all_answer(values, told):
    values.listen(lambda wanted: [values.show(one, 1.5) for one in wanted])
    assert values.want(frozenset([A, B])).done()
    assert (values.latest(A), values.latest(B), told) == (1.5, 1.5, [])


def test_the_last_answer_ends_the_wait(values, told):
    values.listen(lambda wanted: None)
    waiting = values.want(frozenset([A, B]))
    values.show(A, 0)
    assert not waiting.done()
    values.show(B, "")
    assert waiting.done()
    assert told == []


def test_one_does_not_answer(values, told):
    """It is said once, and again when it does."""
    values.listen(lambda wanted: None)
    waiting = values.want(frozenset([A, B]))
    values.show(A, 1)
    assert ended(waiting)
    assert told == [["B"]]
    values.show(A, 2)
    assert told == [["B"]]
    values.show(B, 1)
    assert told == [["B"], []]
    values.show(A, None)
    values.show(A, None)
    assert told == [["B"], [], ["A"]]
    assert values.latest(A) is None


def test_what_is_wanted_no_more_is_forgotten(values, told):
    values.listen(lambda wanted: None)
    first = values.want(frozenset([A]))
    second = values.want(frozenset([B]))
    values.show(A, 1)
    assert values.latest(A) is None
    assert ended(first)
    assert ended(second)
    assert told == [["B"]]
    assert values.want(frozenset()).done()
    assert told == [["B"], []]
    assert 0 < PATIENCE < 1


def in_time(function, *arguments):
    """Whether another thread comes to the end of it."""
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    thread.join(20)
    return not thread.is_alive()


def test_who_is_told_may_wait_for_who_shows(told):
    """As the lock of the detector's values: held by who shows one of them, wanted by who tells what is missing."""
    store, telling = threading.Lock(), threading.Event()

    def tell(missing):
        telling.set()
        with store:
            told.append(missing)

    values = RecordValues(tell)
    values.listen(lambda wanted: None)
    with store:
        waiting = values.want(frozenset([A, B]))
        assert telling.wait(20)
        assert in_time(values.show, A, 1)
    assert ended(waiting)
    assert told == [["A", "B"], ["B"]]


def test_who_waits_may_show():
    """Whoever hears that all have answered."""
    values = RecordValues(lambda missing: None)
    values.listen(lambda wanted: None)
    values.want(frozenset([A])).add_done_callback(lambda _: values.show(A, 2))
    assert in_time(values.show, A, 1)
    assert values.latest(A) == 2
