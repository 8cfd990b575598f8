"""The pickled list of a frame, and the two foreign streams of a core, decoded as their receivers do."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import zmq
import zmq.asyncio
from stream_core import MILLISECOND, running_core
from stream_legacy import PartsReceiver, StinsReceiver, WritingReceiver

from xsp3ioc.receivers.receiver import Receiver
from xsp3ioc.sdk import Faults
from xsp3ioc.sdk.emulator.faults import Picked
from xsp3ioc.stream.formulas import Scaler
from xsp3ioc.stream.legacy_images import PICKLE_PROTOCOL, TYPES, LegacyImages, PickledList
from xsp3ioc.stream.legacy_publisher import LegacyPublisher
from xsp3ioc.stream.messages import Block, SeriesEnd, image_of
from xsp3ioc.stream.served_socket import PortInUseError
from xsp3ioc.stream.stins_push import StinsPush


@pytest.mark.parametrize("channels", [1, 2, 4, 8, 16, 30, 31, 32, 33, 64, 256])
def test_a_filled_template_is_what_pickle_makes(channels):
    rng = np.random.default_rng(channels)
    arrays = [rng.integers(0, 1 << 31, (3, channels)).astype(kind) for kind in TYPES]
    arrays[0], arrays[7] = rng.random((3, channels)), rng.random((3, channels)) * np.inf
    arrays[6] = arrays[6][0]
    pickles = PickledList(channels).fill(arrays)
    assert len(pickles) == 3
    for k, pickled in enumerate(pickles):
        wanted = [np.ascontiguousarray(array if array.ndim == 1 else array[k]) for array in arrays]
        found = pickle.loads(pickled)
        assert type(found) is list
        for mine, its in zip(found, wanted, strict=True):
            assert mine.dtype == its.dtype
            assert mine.tobytes() == its.tobytes()
        # Byte for byte, but for the name of a module that numpy 1 does not have.
        old = pickle.dumps(wanted, PICKLE_PROTOCOL)
        assert pickled[11:] == old[11:].replace(b"\x16numpy._core.multiarray", b"\x15numpy.core.multiarray")
        assert b"numpy._core" not in pickled


@contextmanager
def foreigners(core, *classes, besides=0):
    """Receivers that have joined, `besides` other subscribers."""
    found = []
    try:
        for each in classes:
            name = "stream1" if each is StinsReceiver else "legacy"
            found.append(each(core.detector.beside[name].endpoint))
        if subscribed := sum(each is not StinsReceiver for each in classes):
            core.wait(lambda: core.detector.beside["legacy"].subscribers == subscribed + besides)
        yield found
    finally:
        for receiver in found:
            receiver.close()
        if StinsReceiver in classes:
            core.wait_until_nobody_pulls()


@pytest.fixture(scope="module")
def core():
    with running_core(places={"legacy_port": 0, "stream1_port": 0}) as core:
        yield core


@pytest.fixture(scope="module")
def parts_core():
    with running_core(places={"legacy_port": 0, "legacy_parts": True}) as core:
        yield core


def native(core, begin):
    """Blocks of the native stream of the series that `begin` makes, put together."""
    blocks = []
    before = core.get("subscribers")  # who has left is noticed when something is sent
    with Receiver(core.detector.data.endpoint.replace("*", "127.0.0.1"), "native") as receiver:
        core.wait(lambda: receiver.receive(0.01) or core.get("subscribers") > before)
        begin()
        while not isinstance(event := receiver.receive(20), SeriesEnd):
            if isinstance(event, Block):
                blocks.append(event)
    return [np.concatenate([getattr(block, name) for block in blocks]) for name in ("mca", "scalers", "factors")]


def check_legacy(series, mca, scalers, factors, exposure):
    assert series.numbers == list(range(len(mca)))
    assert np.array(series.spectra).tobytes() == mca.tobytes()
    for name in ("all_events", "all_good", "clock_ticks", "total_ticks", "reset_ticks"):
        assert (series.column(name) == scalers[..., Scaler[name]]).all(), name
    assert series.column("dead_time_correction").tobytes() == factors.tobytes()
    # Good events per second, from the ticks of 80 MHz.
    rates = scalers[..., Scaler.all_good] / (scalers[..., Scaler.total_ticks] * 12.5e-9)
    np.testing.assert_allclose(series.column("output_count_rate"), rates, rtol=1e-12)
    assert {image["exptime"] for image in series.images} == {exposure}
    assert {tuple(image) for image in series.images} == {("htype", "exptime", "frame", "shape", "type", "compression")}


def check_stream1(series, mca, scalers, factors):
    assert series.numbers == list(range(len(mca)))
    assert np.array(series.spectra).tobytes() == mca.tobytes()
    assert [image["scalers"] for image in series.images] == scalers.tolist()
    assert [image["dead_time_factors"] for image in series.images] == factors.tolist()
    first = series.header["msg_number"]
    assert [image["msg_number"] for image in series.images] == list(range(first + 1, first + 1 + len(mca)))
    assert series.end["msg_number"] == first + 1 + len(mca)
    assert (series.end["reason"], series.end["dropped"]) == ("complete", 0)


@pytest.mark.parametrize("how", ["acquire", "arm"])
def test_both_streams_hold_what_the_native_one_holds(core, how):
    with foreigners(core, WritingReceiver, WritingReceiver, StinsReceiver) as (one, two, puller):
        core.set(frames=300, exposure_time=0.001, write_destination=False, destination="/data/not/ours.h5")
        mode = core.get("trigger_mode")

        def begin():
            if how == "arm":
                core.put("arm_trigger", "SOFTWARE")
            done = core.detector.put(how, True)
            done.begun.result(20)
            if how == "arm":
                core.put("send_trigger", True)
            done.result(20)

        arrays = native(core, begin)
        core.set(trigger_mode=mode)
        for receiver in (one, two):
            series = receiver.heard()
            assert series.header == {"htype": "header", "filename": "/data/not/ours.h5", "overwritable": False}
            check_legacy(series, *arrays, 0.001)
            widths = np.rint(core.get("event_width"))
            assert (series.column("event_width") == widths).all()
        series = puller.heard()
        assert series.header["filename"] == "/data/not/ours.h5"
        check_stream1(series, *arrays)
        assert puller.numbers == list(range(puller.numbers[0], puller.numbers[0] + 302))
        assert core.get("legacy_dropped") == core.get("stream1_dropped") == 0


def test_a_stopped_series_has_one_end_and_numbers_go_on(core):
    with foreigners(core, WritingReceiver, StinsReceiver) as (subscriber, puller):
        core.set(frames=100_000, exposure_time=0.001)
        done = core.detector.put("acquire", True)
        done.begun.result(20)
        core.wait(lambda: core.get("frames_acquired") > 50)
        core.put("acquire", False)
        done.result(20)
        core.acquire(5)
        last = subscriber.heard(2)
        assert last.numbers == [0, 1, 2, 3, 4]
        assert subscriber.series[0].numbers == list(range(len(subscriber.series[0].images)))
        assert puller.heard(2).numbers == [0, 1, 2, 3, 4]
        assert puller.series[0].end["reason"] == "stopped"
        assert puller.numbers == list(range(puller.numbers[0], puller.numbers[0] + len(puller.numbers)))


def test_a_server_file_is_told_but_not_given_to_those_who_would_write_it(core, tmp_path):
    with foreigners(core, WritingReceiver, StinsReceiver) as (subscriber, puller):
        core.set(file_path=str(tmp_path), file_name="own", file_template="%s%s_%d.h5", capture_frames=10)
        closed = core.detector.put("capture", True)
        core.wait(lambda: core.get("capture"))
        core.acquire(10)
        closed.result(20)
        path = core.get("full_file_name")
        assert subscriber.heard().header == {"htype": "header", "filename": path, "overwritable": False}
        header = puller.heard().header
        assert (header["filename"], header["server_filename"]) == ("", path)


def test_a_late_subscriber_has_the_next_series(core):
    core.set(frames=100_000, exposure_time=0.001)
    with foreigners(core, WritingReceiver) as (early,):
        done = core.detector.put("acquire", True)
        # The publisher's thread may be behind the acquisition's: its header has gone when a frame has come.
        core.wait(lambda: early.error or (early.series and early.series[0].images))
        with foreigners(core, WritingReceiver, besides=1) as (late,):
            core.put("acquire", False)
            done.result(20)
            core.acquire(20)
            assert late.heard().numbers == list(range(20))


LISTEN = """
import sys, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.setsockopt(zmq.SUBSCRIBE, b"")
socket.connect(sys.argv[1])
while True:
    socket.recv()
    print("x", flush=True)
"""


def test_a_killed_subscriber_disturbs_nobody(core):
    legacy = core.detector.beside["legacy"]
    with foreigners(core, WritingReceiver) as (stays,):
        with subprocess.Popen([sys.executable, "-c", LISTEN, legacy.endpoint], stdout=subprocess.PIPE) as killed:
            try:
                core.wait(lambda: legacy.subscribers == 2)
                core.set(frames=500, exposure_time=0.001)
                done = core.detector.put("acquire", True)
                killed.stdout.readline()
            finally:
                killed.kill()
            done.result(20)
        series = stays.heard()
        assert series.numbers == list(range(500))
        assert np.array(series.spectra).tobytes() == core.frames(500)[0].tobytes()
        core.wait(lambda: legacy.subscribers == 1)


def test_frames_of_one_message_are_whole_for_all_but_the_one_who_stands_still(parts_core):
    core = parts_core
    publisher = core.detector.beside["legacy"]
    context = zmq.Context()
    stopped = context.socket(zmq.SUB)
    stopped.setsockopt(zmq.RCVHWM, 4)
    stopped.setsockopt(zmq.SUBSCRIBE, b"")
    stopped.connect(publisher.endpoint)
    core.wait(lambda: publisher.subscribers == 1)
    publisher._socket.setsockopt(zmq.SNDHWM, 100)  # a memory that is sooner full
    with foreigners(core, PartsReceiver, besides=1) as (reader,):
        # Two series, so that the mark holds for whoever has joined before; nobody waits for who stands still.
        core.acquire(1000, 0.002)
        series = reader.heard()
        assert series.numbers == list(range(1000))
        assert np.array(series.spectra).tobytes() == core.frames(1000, ticks=2 * MILLISECOND)[0].tobytes()
        core.wait(lambda: core.get("legacy_dropped") > 0)
        assert any("publisher drops frames" in str(update.value) for update in core.said("status_message"))
        assert core.get("frames_acquired") == 1000
        stopped.setsockopt(zmq.RCVTIMEO, 1000)
        kinds = []
        with pytest.raises(zmq.Again):
            while True:
                kinds.append(len(stopped.recv_multipart()))
        assert kinds[0] == 1
        assert set(kinds[1:]) <= {1, 3}
        assert kinds.count(3) < 1000
        core.acquire(10)  # it is as good as any other from now on
        assert [len(stopped.recv_multipart()) for _ in range(12)] == [1, *[3] * 10, 1]
    stopped.close(0)
    context.term()
    core.wait(lambda: publisher.subscribers == 0)


# ZMTP 1.0, where a message is what anybody sends: no name, then some that leave what it has never taken.
STRANGE = b"\x01\x00" + b"\x03\x00\x00a" * 5 + b"\x02\x00\x00" * 5 + b"\x02\x00z" * 5


def test_strangers_take_nothing_from_subscribers(core):
    publisher = core.detector.beside["legacy"]
    host, port = publisher.endpoint.removeprefix("tcp://").split(":")
    with foreigners(core, WritingReceiver) as (before,):
        with socket.create_connection((host, int(port))) as stranger:
            stranger.sendall(STRANGE)
            core.wait(lambda: publisher.subscribers == 0)  # as it seems
            core.acquire(20)
            assert before.heard().numbers == list(range(20))
            stranger.sendall(STRANGE[2:])
            after = WritingReceiver(publisher.endpoint)
            core.wait(lambda: publisher.subscribers == 1)
            core.acquire(20)
            assert before.heard(2).numbers == after.heard().numbers == list(range(20))
            after.close()
    core.wait(lambda: publisher.subscribers == 0 and not publisher._connected)  # then nothing is sent


def test_many_who_only_connect(core):
    publisher = core.detector.beside["legacy"]
    host, port = publisher.endpoint.removeprefix("tcp://").split(":")
    for number in range(1200):
        with socket.create_connection((host, int(port))) as stranger:
            stranger.sendall(b"GET" if number % 2 else b"")
    with foreigners(core, WritingReceiver) as (subscriber,):
        core.acquire(20)
        assert subscriber.heard().numbers == list(range(20))
    core.wait(lambda: not publisher._connected)


def test_who_joins_at_any_moment_begins_with_a_whole_frame():
    # As fast as they are read: many, and none is in the way of a stop.
    with running_core(places={"legacy_port": 0}, pace="reader") as core:
        core.set(frames=16_000_000, exposure_time=0.0001)
        done = core.detector.put("acquire", True)
        done.begun.result(20)
        context = zmq.Context()
        for _ in range(25):
            with context.socket(zmq.SUB) as late:
                late.set_hwm(0)
                late.setsockopt(zmq.RCVTIMEO, 20_000)
                late.setsockopt(zmq.SUBSCRIBE, b"")
                late.connect(core.detector.beside["legacy"].endpoint)
                head = json.loads(late.recv())
                if head["htype"] == "header":  # the publisher's thread is a little behind the acquisition's
                    head = json.loads(late.recv())
                spectra, values = late.recv(), pickle.loads(late.recv())
                assert (head["htype"], len(spectra), len(values)) == ("image", 4 * 4096 * 4, 8)
        context.term()
        core.put("acquire", False)
        done.result(20)


def test_a_puller_that_does_not_come_holds_nobody_and_its_loss_is_counted_and_said(caplog):
    with running_core(places={"stream1_port": 0}) as core:
        push = core.detector.beside["stream1"]
        frames = 4000  # more than there is room for
        core.acquire(frames, 0.0005)
        assert core.get("frames_acquired") == frames
        core.wait(lambda: "The stream1 socket dropped" in caplog.text)  # at the end of the series, there too
        dropped = push.dropped
        with foreigners(core, StinsReceiver) as (puller,):
            series = puller.heard()
            number = series.header["series_id"]
            assert series.end["dropped"] == dropped == frames - len(series.images)
            # No gap there: the streaming-receiver would keep back what comes after it, the end too.
            assert puller.numbers == list(range(puller.numbers[0], puller.numbers[0] + len(series.images) + 2))
            core.acquire(20)
            assert puller.heard(2).numbers == list(range(20))
        core.wait(lambda: core.detector.pool.in_use <= 8)
        assert not any("stream1" in str(update.value) for update in core.said("status_message"))
    told = [(record.levelname, record.getMessage()) for record in caplog.records if "stream1" in record.getMessage()]
    assert told == [
        ("WARNING", f"The stream1 socket dropped {dropped} frames of series {number}: no receiver takes them")
    ]


@pytest.mark.parametrize(("kind", "counted"), [(StinsPush, True), (LegacyPublisher, False)])
def test_what_nobody_misses_is_not_shown_however_late_the_thread_comes(core, monkeypatch, caplog, kind, counted):
    core.acquire(5)
    header, block, _ = core.detector.latest_frame
    monkeypatch.setattr("xsp3ioc.stream.side_socket.WAITING_BYTES", 0)
    said = []
    lost = 2 * len(block) if counted else 0
    with closing(kind("tcp://127.0.0.1:*", block.mca[0].nbytes, on_drop=said.append)) as late:
        late.take(header, None)
        for _ in range(3):
            late.take(image_of(block, 1), block)
        late.take(SeriesEnd(msg_number=4, series_id=header.series_id, reason="complete", acquired=5), None)
        late._turn(False)
        assert (said, late.dropped) == ([], lost)
    # The core's own sockets may say something of series before.
    told = [text for text in caplog.messages if f"dropped {lost} frames of series {header.series_id}:" in text]
    assert told == [f"{kind.name} dropped {lost} frames of series {header.series_id}: no receiver takes them"] * counted


def test_a_puller_that_stands_still_is_shown(core, caplog, monkeypatch):
    monkeypatch.setattr("xsp3ioc.stream.side_socket.WAITING_BYTES", 1 << 30)  # the socket's thread loses nothing
    with foreigners(core, StinsReceiver):
        core.wait(lambda: not core.detector.beside["stream1"].waiting)  # what nobody has taken before
    context = zmq.Context()
    still = context.socket(zmq.PULL)
    still.setsockopt(zmq.RCVHWM, 1)
    still.connect(core.detector.beside["stream1"].endpoint)
    core.acquire(10)
    assert json.loads(still.recv_multipart()[0])["htype"] == "header"
    core.acquire(4000, 0.0005)
    core.wait(lambda: core.get("stream1_dropped") > 0)
    shown = [update.value for update in core.said("status_message") if "stream1" in str(update.value)]
    assert len(shown) == 1
    assert shown[0].endswith("its receivers are too slow")
    core.wait(lambda: "The stream1 socket dropped" in caplog.text)
    told = [record.levelname for record in caplog.records if "stream1" in record.getMessage()]
    assert told.count("WARNING") == 1
    assert "ERROR" not in told
    still.close(0)
    context.term()
    core.wait_until_nobody_pulls()
    with foreigners(core, StinsReceiver):
        core.wait(lambda: not core.detector.beside["stream1"].waiting)


def test_what_waits_at_the_end_of_the_server_is_said(caplog):
    with running_core(places={"stream1_port": 0}) as core:
        core.acquire(5)
    assert "The stream1 socket dropped 5 frames at its end: no receiver takes them" in caplog.messages


def test_what_nobody_takes_is_bounded_over_many_series(monkeypatch, caplog):
    monkeypatch.setattr("xsp3ioc.stream.stins_push.PATIENCE", 0.0)
    with running_core(places={"stream1_port": 0}) as core:
        push = core.detector.beside["stream1"]
        for _ in range(3):
            core.acquire(5)
        core.wait(lambda: push.waiting == 7)  # header, frames and end of the last one
        with foreigners(core, StinsReceiver) as (puller,):
            assert puller.heard().numbers == list(range(5))
            first = puller.numbers[0]
            assert puller.numbers == list(range(first, first + 7))
            last = puller.series[0].header["series_id"]
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    lines = "The stream1 socket dropped 5 frames of series before {}: no receiver takes them"
    assert told == [lines.format(series) for series in (last - 1, last)]


def test_what_a_channel_did_not_deliver_is_zeros_in_both_streams():
    missing = Picked(frames=(0, 3), channels=(0,))
    with running_core(places={"legacy_port": 0, "stream1_port": 0}, faults=Faults(missing=missing)) as core:
        with foreigners(core, WritingReceiver, StinsReceiver) as (subscriber, puller):
            core.acquire(6)
            published, pulled = subscriber.heard(), puller.heard()
        mca, scalers = core.frames(6)
        mca[[0, 3], 0] = scalers[[0, 3], 0] = 0
        for series in (published, pulled):
            assert series.numbers == list(range(6))
            assert np.array(series.spectra).tobytes() == mca.tobytes()
        assert (published.column("clock_ticks") == scalers[..., Scaler.clock_ticks]).all()
        assert published.column("dead_time_correction")[3, 0] == 1.0
        assert [image["status"] for image in pulled.images] == [2, 0, 0, 2, 0, 0]
        # A gate's time is that of the channels that counted.
        header, block, _ = core.detector.latest_frame
        block.scalers[:, 0] = 0
        gated = LegacyImages(msgspec.structs.replace(header, exposure=0.0))
        assert [json.loads(pieces.head)["exptime"] for pieces in gated.frames(block)] == [0.001] * len(block)


async def sequence(ingester, endpoint, settings):
    """The parsed packets of a sequence, read by dranspose's own ingester, without the rest of it."""
    one = ingester.__new__(ingester)
    one.ctx, one._logger, one.in_socket = zmq.asyncio.Context(), logging.getLogger("ingester"), None
    setattr(one, settings, SimpleNamespace(upstream_url=endpoint))
    packets = []
    source = one.run_source("xspress3")
    try:
        async for data in source:
            packets.append(data)
            if b"series_end" in data.frames[0].bytes:
                return packets
    finally:
        await source.aclose()
        await one.stop_source("xspress3")
        one.ctx.destroy(linger=0)


@pytest.mark.parametrize("stream", ["messages", "parts", "stream1"])
def test_dranspose_reads_it(core, parts_core, stream):
    from dranspose.ingesters.zmqpull_single import ZmqPullSingleIngester
    from dranspose.ingesters.zmqsub_xspress3 import ZmqSubXspressIngester
    from dranspose.middlewares import stream1, xspress

    if stream == "parts":
        core = parts_core
    pull = stream == "stream1"
    socket = core.detector.beside["stream1" if pull else "legacy"]
    ingester = (
        (ZmqPullSingleIngester, socket.endpoint, "_streaming_single_settings") if pull
        else (ZmqSubXspressIngester, socket.endpoint, "_streaming_xspress_settings")
    )  # fmt: skip
    if pull:
        with foreigners(core, StinsReceiver):
            core.wait(lambda: not socket.waiting)  # series that nobody has taken before
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(lambda: asyncio.run(asyncio.wait_for(sequence(*ingester), 60)))
        core.wait(lambda: pull or socket.subscribers == 1)
        core.acquire(50)
        packets = [(stream1 if pull else xspress).parse(data) for data in reading.result()]
    header, *images, end = packets
    mca, scalers = core.frames(50)
    assert (header.htype, end.htype) == ("header", "series_end")
    assert [image.frame for image in images] == list(range(50))
    assert np.array([image.data for image in images]).tobytes() == mca.tobytes()
    if pull:
        assert [image.scalers for image in images] == scalers.tolist()
    else:
        assert {image.exptime for image in images} == {0.001}
        for name, scaler in (("AllEvents", 3), ("AllGood", 4), ("ClockTicks", 0), ("TotalTicks", 8), ("ResetTicks", 1)):
            assert (np.array([image.meta[name] for image in images]) == scalers[..., scaler]).all()
        core.wait(lambda: socket.subscribers == 0)


@pytest.mark.parametrize(("key", "option"), [("legacy_port", "--legacy-port"), ("stream1_port", "--stream1-port")])
def test_a_port_in_use_is_named_with_its_option(key, option):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortInUseError, match=option), running_core(places={key: taken.getsockname()[1]}):
            pass
