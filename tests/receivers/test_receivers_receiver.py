import logging

import numpy as np
import pytest
import zmq
from receivers_feed import PATIENCE, Feed, capture, end, frames, header

from xsp3ioc.receivers.receiver import Receiver, RefusedError
from xsp3ioc.stream.messages import (
    Block,
    Capture,
    CaptureEnd,
    Gap,
    Header,
    Hello,
    Refused,
    SeriesEnd,
    Written,
    encode,
    image_of,
)


@pytest.fixture
def feed(tmp_path):
    with Feed(f"ipc://{tmp_path}/data") as feed:
        yield feed


@pytest.fixture
def receiver(feed):
    with Receiver(feed.endpoint, "me", credit=4, token="secret") as receiver:
        join(feed, receiver)
        yield receiver


def join(feed, receiver):
    """Let the receiver run until its hello has arrived."""
    for _ in range(10 * PATIENCE):
        assert receiver.receive(0.1) is None
        if feed._socket.poll(0):
            return feed.wait(Hello)
    raise TimeoutError("no hello")


@pytest.mark.parametrize("far", [frames(1 << 40, 2), end(1 << 40)], ids=["frames", "end"])
def test_a_frame_number_that_cannot_be_is_not_believed(feed, receiver, caplog, far):
    """Each missing frame gets a place in a file."""
    feed.send(header(), frames(0, 2), far, frames(2, 2), end(4))
    events = [receiver.receive(PATIENCE) for _ in range(4)]
    assert [type(event) for event in events] == [Header, Block, Block, SeriesEnd]
    assert (receiver.received, receiver.gaps, receiver.garbage) == (4, [], 1)
    assert "so many cannot be missing" in caplog.text


def test_it_says_hello(feed):
    with Receiver(feed.endpoint, "me", credit=4, token="secret") as receiver:
        assert join(feed, receiver) == Hello(name="me", credit=4, token="secret")
        assert receiver.connected


def test_events_come_in_order_and_as_sent(feed, receiver):
    sent = frames(0, 5)
    feed.send(capture("x.h5"), header(), sent, frames(5, 1), end(6), CaptureEnd(capture_id=1))
    events = [receiver.receive(PATIENCE) for _ in range(6)]
    assert [type(event) for event in events] == [Capture, Header, Block, Block, SeriesEnd, CaptureEnd]
    block = events[2]
    assert (block.series_id, block.first, len(block)) == (1, 0, 5)
    for ours, theirs in zip(sent.parts(), block.parts(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not block.mca.flags.owndata
    assert receiver.received == 6
    assert receiver.gaps == []
    assert receiver.receive(0) is None


def test_blocks_stay_valid_while_more_come(feed, receiver):
    feed.send(header(), *(frames(k, 1) for k in range(3)))
    blocks = [receiver.receive(PATIENCE) for _ in range(4)][1:]
    for number, block in enumerate(blocks):
        np.testing.assert_array_equal(block.mca, frames(number, 1).mca)


def test_all_credit_comes_back(feed, receiver):
    feed.send(header(), *(frames(k, 1) for k in range(4)))
    for _ in range(5):
        assert receiver.receive(PATIENCE) is not None
    assert receiver.receive(0) is None
    feed.wait_until_taken()
    assert feed.credit == 4


def test_a_consumer_that_stops_gives_no_credit(feed, receiver):
    feed.send(header(), *(frames(k, 1) for k in range(4)))
    assert receiver.receive(PATIENCE)
    assert receiver.receive(PATIENCE)
    assert feed._socket.poll(100) == 0


def test_frames_that_do_not_come_are_named(feed, receiver):
    feed.send(header(), frames(0, 2), frames(5, 1), end(10, lost=[Gap(first=2, last=4, reason="too slow")]))
    for _ in range(4):
        receiver.receive(PATIENCE)
    assert receiver.received == 3
    assert [(gap.first, gap.last) for gap in receiver.gaps] == [(2, 4), (6, 9)]
    feed.send(header(2), frames(0, 1, 2), end(1, 2))
    for _ in range(3):
        receiver.receive(PATIENCE)
    assert (receiver.received, receiver.gaps) == (1, [])


def test_the_last_frames_are_missed_where_gaps_came_before(feed, receiver):
    overrun = Gap(first=10, last=19, reason="overrun")
    feed.send(header(), frames(0, 10), frames(20, 70), end(90, missing=[overrun]))
    for _ in range(4):
        receiver.receive(PATIENCE)
    assert [(gap.first, gap.last) for gap in receiver.gaps] == [(10, 19), (90, 99)]


def test_garbage_is_counted_and_skipped(feed, receiver, caplog):
    wrong = frames(0, 2)
    with caplog.at_level(logging.WARNING):
        feed.send_parts(b"\xff\xfe not json")
        feed.send_parts(b'{"htype": "unheard of"}')
        feed.send_parts(encode(image_of(wrong, 0)), b"123", b"", b"", b"")
        feed.send_parts(encode(image_of(wrong, 0)))
        feed.send_parts(b"")
        feed.send(header())
        assert isinstance(receiver.receive(PATIENCE), Header)
    assert receiver.garbage == 5
    assert len(caplog.records) == 5


def test_a_refusal_is_raised(feed, receiver):
    feed.send(Refused(error="version 1 is not spoken here"))
    with pytest.raises(RefusedError, match="version 1 is not spoken here"):
        receiver.receive(PATIENCE)


def test_reports_reach_the_server(feed, receiver):
    report = Written(capture_id=1, frames=5)
    assert receiver.report(report)
    assert feed.wait(Written) == report


def test_a_restarted_server_is_joined_again(tmp_path):
    endpoint = f"ipc://{tmp_path}/data"
    with Receiver(endpoint, "me") as receiver:
        with Feed(endpoint) as feed:
            join(feed, receiver)
            feed.send(header(), frames(0, 1))
            assert isinstance(receiver.receive(PATIENCE), Header)
            assert isinstance(receiver.receive(PATIENCE), Block)
        with Feed(endpoint) as feed:
            assert join(feed, receiver).name == "me"
            feed.send(header(1, time=1.0), frames(7, 1), end(8))
            assert [type(receiver.receive(PATIENCE)) for _ in range(3)] == [Header, Block, SeriesEnd]
            assert receiver.gaps == [Gap(first=0, last=6, reason="before this receiver had joined")]


def test_a_header_again_goes_on_with_its_series(tmp_path):
    endpoint = f"ipc://{tmp_path}/data"
    with Feed(endpoint) as feed, Receiver(endpoint, "me") as receiver:
        join(feed, receiver)
        feed.send(header(), frames(0, 2), header(), frames(5, 1), end(6))
        for _ in range(5):
            receiver.receive(PATIENCE)
        assert receiver.received == 3
        assert receiver.gaps == [Gap(first=2, last=4, reason="not received")]


def test_what_was_sent_before_the_server_went_still_comes(tmp_path):
    endpoint = f"ipc://{tmp_path}/data"
    with Receiver(endpoint, "me") as receiver:
        with Feed(endpoint) as feed:
            join(feed, receiver)
            feed.send(header(), frames(0, 3), end(3), CaptureEnd(capture_id=1))
        kinds = [type(receiver.receive(PATIENCE)) for _ in range(4)]
        assert kinds == [Header, Block, SeriesEnd, CaptureEnd]


def test_without_a_server_nothing_is_sent(tmp_path):
    with Receiver(f"ipc://{tmp_path}/nobody", "me") as receiver:
        receiver._socket.setsockopt(zmq.SNDTIMEO, 10)
        assert not receiver.report(Written(capture_id=1, frames=0))
        assert receiver.receive(0.01) is None
