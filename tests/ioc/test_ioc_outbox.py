"""What waits for a client: in order, nothing of a scalar lost within the budget, the newest always there."""

from __future__ import annotations

import asyncio
import struct

import numpy as np
import pytest
from caproto import DBR_TYPES, ChannelType
from hypothesis import given
from hypothesis import strategies as st

from xsp3ioc.outbox import ARRAY, BUDGET, Outbox
from xsp3ioc.wire import TIME_METADATA, to_array

HEAD = struct.Struct(">IIi")


def message(subscription, number, size=16):
    return HEAD.pack(size, number, subscription).ljust(size, b"\0")


def split(data):
    found = []
    while data:
        size, number, subscription = HEAD.unpack_from(data)
        found.append((subscription, number))
        data = data[size:]
    return found


def empty(outbox):
    data = b""
    while outbox and (part := asyncio.run(take_soon(outbox))):
        data += part
    return split(data)


async def take_soon(outbox):
    try:
        return await asyncio.wait_for(outbox.take(), 0.01)
    except asyncio.TimeoutError:
        return b""


@given(st.lists(st.integers(0, 3), max_size=100), st.sets(st.integers(0, 3)))
def test_scalars_keep_their_order_and_arrays_are_the_newest(subscriptions, arrays):
    outbox = Outbox()
    for number, subscription in enumerate(subscriptions):
        outbox.update(subscription, message(subscription, number, ARRAY if subscription in arrays else 16))
    last = {subscription: number for number, subscription in enumerate(subscriptions)}
    expected = [
        (subscription, number)
        for number, subscription in enumerate(subscriptions)
        if subscription not in arrays or last[subscription] == number
    ]
    assert empty(outbox) == expected


def test_beyond_the_budget_the_newest_stay_in_order_and_replies_too():
    outbox = Outbox()
    size, subscriptions = 1000, 10
    for number in range(3 * BUDGET // size):
        outbox.update(number % subscriptions, message(number % subscriptions, number, size))
        if number == 5:
            outbox.reply(message(-1, number))
    taken = empty(outbox)
    assert len(taken) * size < 1.5 * BUDGET
    assert (-1, 5) in taken
    assert [number for _, number in taken] == sorted(number for _, number in taken)
    assert {subscription for subscription, _ in taken[-subscriptions:]} == set(range(subscriptions))


def test_more_subscriptions_than_the_budget_holds():
    outbox = Outbox()
    many = 2 * BUDGET // 1000
    for number in range(2 * many):
        outbox.update(number % many, message(number % many, number, 1000))
    newest = [(number % many, number) for number in range(many, 2 * many)]
    assert empty(outbox)[-many:] == newest


def test_while_a_client_wants_none_only_replies_go():
    outbox = Outbox()
    outbox.pause(True)
    outbox.update(1, message(1, 1))
    outbox.reply(message(-1, 2))
    assert split(asyncio.run(outbox.take())) == [(-1, 2)]
    assert asyncio.run(take_soon(outbox)) == b""
    outbox.pause(False)
    assert empty(outbox) == [(1, 1)]


def test_a_subscription_that_has_ended_sends_nothing():
    outbox = Outbox()
    for number in range(3):
        outbox.update(1, message(1, number))
        outbox.update(2, message(2, number, ARRAY))
    outbox.cancel(1)
    assert empty(outbox) == [(2, 2)]
    outbox.update(2, message(2, 3, ARRAY))
    outbox.cancel(2)
    assert not outbox


@pytest.mark.parametrize("kind", TIME_METADATA, ids=lambda kind: kind.name)
def test_metadata_have_the_size_that_clients_expect(kind):
    import ctypes

    assert TIME_METADATA[kind].size == ctypes.sizeof(DBR_TYPES[kind])


def test_elements_are_big_endian():
    assert to_array(ChannelType.LONG, -2).tobytes() == b"\xff\xff\xff\xfe"
    assert to_array(ChannelType.ENUM, True).tobytes() == b"\0\1"
    assert to_array(ChannelType.DOUBLE, np.arange(2.0)).tobytes() == struct.pack(">dd", 0, 1)
