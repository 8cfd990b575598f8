"""Spectra that come compressed: decoded by HDF5's own filter, cut, joined, written as they are; and broken ones."""

import dataclasses

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from receivers_feed import PATIENCE, Feed, capture, end, frames, header, record

from xsp3ioc.receivers.receiver import Receiver
from xsp3ioc.stream.bslz4 import Packed, compress, join
from xsp3ioc.stream.messages import Block, CaptureEnd, Closed, ProtocolError, block_from_parts, encode, image_of

DATA = "/entry/instrument/xspress3/data"
SHAPE = {"channels": 2, "bins": 4096}


def packed(mca):
    return Packed.from_chunk(memoryview(compress(mca)), mca.shape)


def compressed(block):
    return dataclasses.replace(block, spectra=packed(block.mca))


@given(st.tuples(st.integers(1, 5), st.integers(1, 3), st.sampled_from((1, 3, 64, 1000, 2048, 4096))))
def test_any_shape_comes_back(shape):
    mca = np.random.default_rng(1).poisson(0.3, shape).astype(np.uint32)
    there = packed(mca)
    assert len(there) == shape[0]
    np.testing.assert_array_equal(there.counts, mca)


def test_what_is_cut_and_joined_is_what_would_have_been_compressed():
    mca = frames(0, 9, **SHAPE).mca
    pieces = [packed(mca[:4]), packed(mca[4:9])]
    assert join([pieces[0].frames(1, 4), pieces[1].frames(0, 2)]) == compress(mca[1:6])
    assert join([packed(mca).frames(2, 7).frames(1, 3)]) == compress(mca[3:5])
    assert not packed(frames(0, 1).mca).divisible


def test_the_bytes_are_a_chunk_of_the_public_filter(tmp_path):
    mca = frames(0, 6, **SHAPE).mca
    with h5py.File(tmp_path / "chunk.h5", "w") as file:
        data = file.create_dataset("data", mca.shape, "u4", chunks=mca.shape, **hdf5plugin.Bitshuffle())
        data.id.write_direct_chunk((0, 0, 0), compress(mca))
        data.flush()
        np.testing.assert_array_equal(data[()], mca)


def broken():
    mca = frames(0, 2, **SHAPE).mca
    good = compress(mca)
    return {
        "empty": (b"", mca.shape),
        "short": (good[:-1], mca.shape),
        "long": (good + b"\0", mca.shape),
        "header only": (good[:12], mca.shape),
        "another shape": (good, (3, 2, 4096)),
        "no frames": (good, (0, 2, 4096)),
        "negative": (good, (-2, -2, 2048)),
        "sizes beyond the end": (good[:12] + b"\xff" * (len(good) - 12), mca.shape),
        "size of another chunk": (b"\0" * 8 + good[8:], mca.shape),
        "blocks of another size": (good[:8] + b"\0\0\x10\0" + good[12:], mca.shape),
    }


@pytest.mark.parametrize("name", broken())
def test_what_is_no_chunk_is_refused(name):
    chunk, shape = broken()[name]
    block = frames(0, 2, **SHAPE)
    image = image_of(block, 0)
    image.shape, image.compression = shape, "bslz4"
    with pytest.raises(ProtocolError):
        block_from_parts(image, [chunk, *block.parts()[1:]])


def test_what_cannot_be_decoded_says_so():
    mca = frames(0, 1, **SHAPE).mca
    good = bytearray(compress(mca))
    good[16:60] = b"\xff" * 44
    with pytest.raises(ValueError, match="cannot be decoded"):
        _ = Packed.from_chunk(memoryview(bytes(good)), mca.shape).counts


def test_a_compression_that_is_not_known():
    image = image_of(frames(0, 1), 0)
    image.compression = "zip"
    with pytest.raises(ProtocolError, match="compression zip: known are uint32 and none, bslz4"):
        block_from_parts(image, [b""] * 4)


def events(path, pack, **order):
    """Blocks of many lengths, with a gap, a few of them not compressed."""
    yield capture(path, **SHAPE, **order)
    yield header(**SHAPE)
    first = 0
    for number, count in enumerate((1, 1, 3, 20, 7, 40, 2, 16, 16, 5)):
        first += 3 * (number == 5)
        block = frames(first, count, **SHAPE)
        yield compressed(block) if pack and number != 2 else block
        first += count
    yield end(first - 3)
    yield CaptureEnd(capture_id=1, reason="complete")


@pytest.mark.parametrize(
    "order",
    [
        {}, {"chunk_frames": 1}, {"chunk_frames": 16}, {"chunk_frames": 50}, {"flush_frames": 4}, {"frames": 61},
        {"corrected": True}, {"compression": "gzip"}, {"compression": "none"}, {"part_frames": 30}, {"swmr": True},
    ],
    ids=str,
)  # fmt: skip
def test_a_file_is_the_same_however_the_spectra_came(tmp_path, order):
    order = {"compression": "bslz4"} | order
    for pack in (False, True):
        reports = record(*events(tmp_path / f"{pack}.h5", pack, **order))
        assert any(isinstance(report, Closed) for report in reports)
    with h5py.File(tmp_path / "False.h5") as plain, h5py.File(tmp_path / "True.h5") as other:
        for name in {DATA, f"{DATA}_raw"} & set(_datasets(plain)):
            np.testing.assert_array_equal(plain[name], other[name])
            if not plain[name].is_virtual:
                chunks = [_chunks(file[name]) for file in (plain, other)]
                assert chunks[0] == chunks[1]


def _datasets(file):
    names = []
    file.visititems(lambda _, item: names.append(item.name))
    return names


def _chunks(data):
    found = (data.id.get_chunk_info(number) for number in range(data.id.get_num_chunks()))
    return {chunk.chunk_offset: data.id.read_direct_chunk(chunk.chunk_offset)[1] for chunk in found}


def test_a_receiver_asks_for_it_and_decodes(tmp_path):
    with Feed(f"ipc://{tmp_path}/data") as feed, Receiver(feed.endpoint, "me", compression="bslz4") as receiver:
        while not feed._socket.poll(0):
            assert receiver.receive(0.1) is None
        assert feed.hello().compression == "bslz4"
        block = frames(0, 3, **SHAPE)
        image = image_of(block, 0)
        image.compression = "bslz4"
        feed.send(header(**SHAPE))
        feed.send_parts(encode(image), compress(block.mca), *block.parts()[1:])
        assert receiver.receive(PATIENCE)
        got = receiver.receive(PATIENCE)
        assert isinstance(got, Block)
        assert isinstance(got.spectra, Packed)
        np.testing.assert_array_equal(got.mca, block.mca)
        assert receiver.gaps == []
