"""Who gets what, who is cut off, and what each is told: without sockets."""

import json

import numpy as np
import pytest

from xsp3ioc.stream.messages import (
    FRAME_DTYPE,
    Block,
    CaptureEnd,
    Image,
    ProtocolError,
    SeriesEnd,
    encode,
)
from xsp3ioc.stream.pool import SLAB_BYTES, Pool
from xsp3ioc.stream.subscriber import MOST_CREDIT, MOST_SLABS, Audience, Item, Subscriber
from xsp3ioc.stream.subscribers import MOST_SUBSCRIBERS, Subscribers

POOL = Pool(4, 4096, 256 * SLAB_BYTES)


def block(first, count, series_id=1, slab=None):
    return Block(
        series_id,
        first,
        np.zeros((count, 1, 4), np.uint32),
        np.zeros((count, 1, 9), np.uint32),
        np.ones((count, 1)),
        np.zeros(count, FRAME_DTYPE),
        None if slab is None else (slab * POOL.slab_bytes + 100, count),
    )


def image(first, count, series_id=1, audience=Audience.all, slab=None):
    data = block(first, count, series_id, slab)
    message = Image(msg_number=first, series_id=series_id, frame=first, shape=data.mca.shape)
    return Item(message, encode(message), data, audience)


def end(series_id=1, audience=Audience.all):
    message = SeriesEnd(msg_number=9, series_id=series_id, reason="complete", acquired=100)
    return Item(message, encode(message), None, audience)


def lost(parts):
    return [(gap["first"], gap["last"]) for gap in json.loads(parts[0])["lost"]]


@pytest.fixture
def all_three():
    subscribers = Subscribers(POOL)
    made = [Subscriber(name.encode(), name, 2, writer=name == "writer") for name in ("a", "b", "writer")]
    for subscriber in made:
        subscribers.join(subscriber)
    return subscribers, *made


def sent(subscriber, spare=True):
    """All that can be sent to it now, as sent."""
    items = []
    while (item := subscriber.next(spare)) is not None:
        subscriber.sent(item)
        items.append(item)
    return items


def test_each_message_goes_to_those_whom_it_is_for(all_three):
    subscribers, a, _, writer = all_three
    subscribers.inbox += [end(1, Audience.writer), end(2, Audience.others), end(3)]
    subscribers.distribute()
    assert [item.message.series_id for item in sent(a)] == [2, 3]
    assert [item.message.series_id for item in sent(writer)] == [1, 3]


def test_blocks_cost_credit_and_what_follows_waits(all_three):
    subscribers, a, *_ = all_three
    subscribers.inbox += [image(0, 5), image(5, 5), image(10, 5), end()]
    subscribers.distribute()
    assert len(sent(a)) == 2
    assert a.starved
    assert (a.waiting, a.credit) == (5, 0)
    assert subscribers.streamed(1, 15) == 0  # b has got nothing yet
    a.give_credit(-3)
    a.give_credit(0)
    assert a.starved
    a.give_credit(1)
    assert [item.block is None for item in sent(a)] == [False, True]
    assert not a.starved
    a.give_credit(10**9)
    assert a.credit <= 32


def test_the_one_that_is_furthest_behind_is_cut_off(all_three):
    subscribers, a, b, _ = all_three
    subscribers.inbox += [image(0, 5, 1, Audience.others), image(5, 5, 1, Audience.others)]
    subscribers.distribute()
    sent(a)
    subscribers.inbox += [image(10, 5, 1, Audience.others)]
    subscribers.distribute()
    name, gaps = subscribers.cut_laggiest(1, 0)
    assert (name, [(gap.first, gap.last) for gap in gaps]) == ("b", [(0, 14)])
    assert subscribers.streamed(1, 15) == 0
    # Then the next one; then nobody is left who could be.
    name, gaps = subscribers.cut_laggiest(1, 0)
    assert (name, [(gap.first, gap.last) for gap in gaps]) == ("a", [(10, 14)])
    assert subscribers.cut_laggiest(1, 0) is None
    assert (a.waiting, b.waiting) == (0, 0)


def test_nobody_is_cut_off_for_what_the_writer_holds(all_three):
    subscribers, _, _, writer = all_three
    subscribers.inbox += [image(0, 5)]
    subscribers.distribute()
    assert subscribers.cut_laggiest(1, 0) is None
    sent(writer)
    assert subscribers.cut_laggiest(1, 0) is not None


def test_the_end_of_each_series_tells_what_was_lost_of_it(all_three):
    subscribers, a, b, _ = all_three
    a.credit = 0
    subscribers.inbox += [image(0, 5), image(5, 5), end(1), image(0, 3, 2)]
    subscribers.distribute()
    gaps = a.cut()
    assert [(gap.first, gap.last) for gap in gaps] == [(0, 9), (0, 2)]
    subscribers.inbox += [image(3, 3, 2), end(2), image(0, 4, 3), end(3)]
    subscribers.distribute()
    assert [lost(a.parts(item)) for item in sent(a)] == [[(0, 9)]]
    a.give_credit(5)
    first, second, third, fourth = sent(a)
    assert (first.block.first, third.block.first) == (3, 0)
    assert lost(a.parts(second)) == [(0, 2)]
    assert lost(a.parts(fourth)) == []
    # The others lost nothing.
    b.give_credit(9)
    assert [lost(b.parts(item)) for item in sent(b) if item.block is None] == [[], [], []]


def test_a_late_one_learns_of_the_capture_and_leaves_out_what_is_over(all_three):
    subscribers, *_ = all_three
    message = CaptureEnd(capture_id=1)
    subscribers.inbox += [Item(message, encode(message)), end()]
    subscribers.distribute()
    late = Subscriber(b"late", "late", 1)
    subscribers.join(late)
    assert sent(late) == []


def test_there_is_a_limit():
    subscribers = Subscribers(POOL)
    for number in range(MOST_SUBSCRIBERS):
        subscribers.join(Subscriber(bytes([number]), "x", 1))
    with pytest.raises(ProtocolError, match="already"):
        subscribers.join(Subscriber(b"one more", "x", 1))


def test_the_end_of_a_series_waits_once_for_one_that_takes_nothing(all_three):
    subscribers, a, b, _ = all_three
    subscribers.inbox += [image(0, 5)]
    subscribers.distribute()
    sent(b)
    assert subscribers.wait_sent(0.1, lambda: False) == ["a"]
    assert subscribers.wait_sent(0.1, lambda: False) == []
    a.give_credit(1)
    assert subscribers.wait_sent(0.1, lambda: False) == ["a"]
    a.give_credit(1)
    assert subscribers.wait_sent(60, lambda: True) == []


def test_the_end_of_a_series_does_not_wait_for_ever_for_one_that_is_slow(all_three):
    subscribers, a, *_ = all_three
    subscribers.inbox += [image(number, 1) for number in range(1000)]
    subscribers.distribute()

    def progress():
        for known in subscribers.select():
            while known is not a and known.queue:
                known.give_credit(32)
                sent(known)
        a.give_credit(1)
        assert sent(a)
        return False

    assert subscribers.wait_sent(60, progress, 0.3) == ["a"]
    assert not a.stuck


def test_who_takes_nothing_holds_few_slabs_however_much_credit_it_gave(all_three):
    subscribers, a, b, writer = all_three
    a.credit = b.credit = writer.credit = MOST_CREDIT
    # Three blocks in each slab.
    subscribers.inbox += [image(number, 1, slab=number // 3) for number in range(MOST_CREDIT)]
    subscribers.distribute()
    assert (len(sent(a)), a.slabs, a.starved) == (3 * MOST_SLABS, MOST_SLABS, True)
    assert len(sent(writer)) == MOST_CREDIT
    a.give_credit(2)
    assert (len(sent(a)), a.slabs) == (0, MOST_SLABS)
    a.give_credit(1)
    assert (len(sent(a)), a.slabs) == (3, MOST_SLABS)
    # Where many hold a lot, each gets a slab at a time.
    assert (len(sent(b, spare=False)), b.slabs) == (3, 1)


def test_all_who_stop_leave_a_part_of_the_pool_to_the_others():
    pool = Pool(4, 4096, 64 * SLAB_BYTES)
    subscribers = Subscribers(pool)
    for number in range(16):
        subscribers.join(Subscriber(bytes([number]), "x", MOST_CREDIT))
    with pytest.raises(ProtocolError, match="16 subscribers already: a larger pool"):
        subscribers.join(Subscriber(b"one more", "x", 1))
    subscribers.inbox += [image(number, 1, slab=number) for number in range(64)]
    subscribers.distribute()
    for known in subscribers.select():
        while (item := known.next(subscribers.spare() > 0)) is not None:
            known.sent(item)
    slabs = sorted(known.slabs for known in subscribers.select())
    assert slabs[0] == 1
    assert slabs[-1] == MOST_SLABS
    assert sum(slabs) <= 32


def test_who_is_cut_off_gets_nothing_more_of_the_series_until_it_gives_credit(all_three):
    subscribers, a, b, _ = all_three
    b.credit = 0
    a.credit = 1
    subscribers.inbox += [image(0, 5, 1, Audience.others), image(5, 5, 1, Audience.others)]
    subscribers.distribute()
    assert len(sent(a)) == 1
    assert subscribers.cut_laggiest(1, 3600)[0] == "b"  # which has never taken anything; a has, just now
    assert subscribers.cut_laggiest(1, 3600) is None
    assert subscribers.cut_laggiest(1, 0)[0] == "a"
    subscribers.inbox += [image(10, 5, 1, Audience.others)]
    subscribers.distribute()
    assert (a.waiting, subscribers.streamed(1, 15)) == (0, 0)
    # Nothing is on its way to b, which would therefore never give credit.
    assert (a.cut_off, b.cut_off, b.waiting) == (True, False, 5)
    a.give_credit(1)
    subscribers.inbox += [image(15, 5, 1, Audience.others), end(1, Audience.others)]
    subscribers.distribute()
    data, message = sent(a)[0], a.queue or None
    assert (data.block.first, message) == (15, None)
    assert [(gap.first, gap.last) for gap in a.lost_of(1)] == [(5, 14)]
    # Cut off in this series already: no patience with it.
    a.credit = 0
    subscribers.inbox += [image(20, 5, 1, Audience.others)]
    subscribers.distribute()
    assert subscribers.cut_laggiest(1, 3600)[0] == "b"
    name, gaps = subscribers.cut_laggiest(1, 3600)
    assert (name, [(gap.first, gap.last) for gap in gaps]) == ("a", [(20, 24)])
