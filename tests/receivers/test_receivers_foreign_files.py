"""Files of other programs, and what is no file with spectra: what the file tools say of them."""

import h5py
import numpy as np
import pytest

from xsp3ioc import check, info, plot
from xsp3ioc.receivers.check import check as check_file
from xsp3ioc.receivers.opening import UnreadableError
from xsp3ioc.receivers.reader import DetectorFile
from xsp3ioc.sdk import EmulatorSettings, expected_frames
from xsp3ioc.stream.formulas import Scaler, dead_time_factors

FRAMES, CHANNELS = 12, 2
TICKS = 80_000
WIDTHS = [6.0, 6.0]
ATTRIBUTES = "/entry/instrument/NDAttributes"
STREAMER = "/entry/instrument/xspress3"


@pytest.fixture(scope="module")
def measured():
    """Spectra and scalers of some frames, and their factors."""
    mca, scalers = expected_frames(EmulatorSettings(channels=CHANNELS), TICKS, 0, FRAMES)
    return mca, scalers, dead_time_factors(scalers, WIDTHS)


@pytest.fixture
def area_detector(tmp_path, measured):
    """As the areaDetector driver's file plugin has written it."""
    mca, scalers, factors = measured
    path = tmp_path / "area.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("/entry/instrument/detector/data", data=mca, chunks=(1, CHANNELS, 4096))
        file.create_group("/entry/instrument/detector/NDAttributes")
        file["/entry/data/data"] = data
        for channel in range(CHANNELS):
            for number in range(8):
                name = f"{ATTRIBUTES}/CHAN{channel + 1}SCA{number}"
                file.create_dataset(name, data=scalers[:, channel, number].astype(float), maxshape=(None,))
            for name, values in (("EventWidth", np.full(FRAMES, 6.0)), ("DTFactor", factors[:, channel])):
                file.create_dataset(f"{ATTRIBUTES}/CHAN{channel + 1}{name}", data=values, maxshape=(None,))
        ids = np.arange(1, FRAMES + 1, dtype="i4")
        file.create_dataset(f"{ATTRIBUTES}/NDArrayUniqueId", data=ids, maxshape=(None,))
        file.create_dataset(f"{ATTRIBUTES}/NDArrayTimeStamp", data=1e9 + 0.001 * ids, maxshape=(None,))
    return path


@pytest.fixture
def streamer(tmp_path, measured):
    """As the xspress3-streamer has written it."""
    mca, scalers, factors = measured
    path = tmp_path / "streamer.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group(STREAMER)
        group.attrs["NX_class"] = "NXdetector"

        def add(name, values):
            shape = values.shape[1:]
            group.create_dataset(name, data=values, chunks=(1, *shape), maxshape=(None, *shape))

        add("data", mca)
        for scaler in (Scaler.all_events, Scaler.all_good, Scaler.clock_ticks, Scaler.total_ticks, Scaler.reset_ticks):
            add(scaler.name, scalers[..., scaler])
        add("event_width", np.full((FRAMES, CHANNELS), 6, "i4"))
        add("dead_time_correction", factors)
        add("output_count_rate", scalers[..., Scaler.all_good] / scalers[..., Scaler.total_ticks] / 80e6)
    return path


@pytest.fixture(params=["area_detector", "streamer"])
def foreign(request):
    return request.getfixturevalue(request.param)


def results(path):
    return {part.name: part.result for part in check_file(path).checks}


def findings(path):
    return [(part.name, one.severity, one.runs) for part in check_file(path).checks for one in part.findings]


def test_a_good_one_is_complete(foreign):
    verdict = check_file(foreign)
    assert verdict.complete
    assert verdict.frames == FRAMES
    assert verdict.simulated is None
    assert findings(foreign) == []
    assert results(foreign)["dead time"] == results(foreign)["counts"] == "ok"


def test_what_it_does_not_say_is_not_checked(foreign):
    assert results(foreign)["derived"] == results(foreign)["series"] == "not checked"


def test_a_wrong_factor_is_found(area_detector, streamer):
    with h5py.File(area_detector, "r+") as file:
        file[f"{ATTRIBUTES}/CHAN2DTFactor"][3] *= 1.01
    with h5py.File(streamer, "r+") as file:
        file[f"{STREAMER}/dead_time_correction"][3, 1] = np.nan
    assert findings(area_detector) == [("dead time", "warning", [(3, 3)])]
    assert findings(streamer) == [("dead time", "error", [(3, 3)])]


def test_an_empty_spectrum_is_found(foreign):
    with h5py.File(foreign, "r+") as file:
        (file[f"{STREAMER}/data"] if STREAMER in file else file["/entry/data/data"])[5] = 0
    assert findings(foreign) == [("counts", "error", [(5, 5)])]


def test_a_hole_in_the_ids_and_an_erased_frame(area_detector):
    with h5py.File(area_detector, "r+") as file:
        file[f"{ATTRIBUTES}/NDArrayUniqueId"][:] = [-1, 1, 2, 3, 5, *range(6, 13)]
    found = findings(area_detector)
    assert ("attributes", "warning", [(0, 0)]) in found
    assert ("attributes", "error", [(4, 4)]) in found


def test_spectra_that_were_corrected(area_detector, measured, capsys):
    mca, _, factors = measured
    with h5py.File(area_detector, "r+") as file:
        del file["/entry/instrument/detector/data"], file["/entry/data/data"]
        file["/entry/instrument/detector/data"] = mca * factors[..., np.newaxis]
    assert findings(area_detector) == []
    assert info.main([str(area_detector)]) == 0
    assert "float64" in capsys.readouterr().out


def test_info_and_plot(foreign, capsys):
    assert info.main([str(foreign)]) == 0
    assert "80 MHz assumed" in capsys.readouterr().out
    assert plot.main([str(foreign)]) == 0
    assert foreign.with_name(foreign.name + ".png").read_bytes().startswith(b"\x89PNG")


def make_other(path):
    with h5py.File(path, "w") as file:
        file["/entry/data/data"] = np.zeros((3, 4))


def make_filtered(path):
    with h5py.File(path, "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((1, 2, 8))
        properties.set_filter(4242, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((3, 2, 8))
        group = file.create_group(STREAMER)
        h5py.h5d.create(group.id, b"data", h5py.h5t.NATIVE_UINT32, space, properties)


def make_truncated(path):
    with h5py.File(path, "w") as file:
        file[f"{STREAMER}/data"] = np.ones((30, 2, 64), "u4")
    with open(path, "r+b") as file:
        file.truncate(5000)


UNREADABLE = [
    (lambda path: None, "no such file"),
    (lambda path: path.mkdir(), "is a directory"),
    (lambda path: path.write_bytes(b""), "is empty"),
    (lambda path: path.write_text("# a text of some length"), "is no HDF5 file"),
    (make_truncated, "is truncated: 5,000 of"),
    (make_other, "of another layout"),
    (make_filtered, "filter 4242"),
]


@pytest.mark.parametrize(("make", "words"), UNREADABLE)
def test_what_cannot_be_read(tmp_path, capsys, make, words):
    path = tmp_path / "file.h5"
    make(path)
    with pytest.raises(UnreadableError, match=words):
        DetectorFile(path)
    for command in (check, info, plot):
        assert command.main([str(path)]) == 2
        output = capsys.readouterr()
        assert len(output.err.splitlines()) == 1
        assert words in output.err


def test_a_part_that_is_gone_is_not_taken_for_zeros(tmp_path, streamer):
    """A master of parts: HDF5 shows zeros for a part that is not there."""
    master = tmp_path / "master.h5"
    with h5py.File(streamer) as file, h5py.File(master, "w") as made:
        for name, dataset in file[STREAMER].items():
            layout = h5py.VirtualLayout(dataset.shape, dataset.dtype)
            layout[...] = h5py.VirtualSource(streamer.name, dataset.name, dataset.shape)
            made.create_virtual_dataset(f"{STREAMER}/{name}", layout)
    assert findings(master) == []
    streamer.write_bytes(streamer.read_bytes()[:3000])
    assert ("names", "error", []) in findings(master)
    streamer.unlink()
    assert ("names", "error", []) in findings(master)
