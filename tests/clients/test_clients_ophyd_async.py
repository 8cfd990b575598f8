"""ophyd-async: strict about types and texts of enumerations, and about the order in which things become true."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import h5py
import numpy as np
import pytest
from system_rig import Written

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ophyd_async") is None, reason="ophyd-async is for Python 3.11 or newer"
)


def loop(session):
    import asyncio

    return session.keep("loop", asyncio.new_event_loop)


def connect(session, what):
    import clients_async_devices as devices
    from ophyd_async.epics import adcore

    make = {
        "driver": lambda prefix: adcore.ADBaseIO(prefix + "det1:", name="driver"),
        "driver of haven": lambda prefix: devices.Driver(prefix + "det1:", name="driver"),
        "file": lambda prefix: adcore.NDFileHDF5IO(prefix + "HDF1:", name="file"),
        "ROIs": lambda prefix: adcore.NDROIStatIO(prefix + "MCA3ROI:", num_channels=48, name="rois"),
        "ROI": lambda prefix: adcore.NDROIIO(prefix + "ROI2:", name="roi"),
        "plugin": lambda prefix: adcore.NDPluginBaseIO(prefix + "C4SCA:TS:", name="plugin"),
        "element": lambda prefix: devices.Element(prefix, 4),
    }[what]
    return loop(session).run_until_complete(devices.connect(make, session.prefix))


@pytest.mark.parametrize(
    ("what", "least"),
    [
        ("driver", 22), ("driver of haven", 27), ("file", 30), ("ROIs", 490), ("ROI", 20), ("plugin", 15),
        ("element", 3),
    ],
)  # fmt: skip
def test_strict_connect(session, what, least):
    assert session.run(connect, what) >= least


def detector(session, name):
    import clients_async_devices as devices

    made = devices.make_detector(session.prefix, session.directory, name)
    loop(session).run_until_complete(made.connect(timeout=60))
    return made


async def documents_of(found):
    return [document async for document in found]


def fly(session, name, frames, exposure, attributes):
    """Stage, prepare, kick off, complete, collect, unstage: as a plan does it for a series."""
    import clients_async_devices as devices
    from ophyd_async.core import TriggerInfo

    made = detector(session, name)
    driver = made.driver

    async def scan():
        before = await driver.nd_attributes_file.get_value()
        await made.stage()
        await driver.erase_on_start.set(False)
        await driver.erase.trigger()
        if attributes:
            await driver.nd_attributes_file.set(devices.dead_time_attributes(4))
        await made.prepare(TriggerInfo(number_of_events=frames, livetime=exposure))
        prepared = await made.hdf.capture.get_value(), await made.hdf.file_path_exists.get_value()
        description = await made.describe_collect()
        await made.kickoff()
        await made.complete()
        written = await made.get_index()
        state = await driver.detector_state.get_value()
        documents = await documents_of(made.collect_asset_docs(written))
        readings = {
            number: (
                (await element.spectrum.get_value()).tolist(), await element.dead_time_factor.get_value(),
                await element.dead_time_percent.get_value(),
            )
            for number, element in made.elements.items()
        }  # fmt: skip
        await made.unstage()
        if attributes:
            await driver.nd_attributes_file.set(before)
        return {
            "before": before,
            "prepared": prepared,
            "description": {key: (value["shape"], value["dtype_numpy"]) for key, value in description.items()},
            "written": written,
            "state": state.value,
            "documents": documents,
            "readings": readings,
            "captured": await made.hdf.num_captured.get_value(),
            "capture": await made.hdf.capture.get_value(),
            "mode": (await driver.image_mode.get_value()).value,
            "size": await driver.number_of_elements.get_value(),
        }

    return loop(session).run_until_complete(scan())


def test_prepare_kickoff_complete(rig, session):
    frames = 5
    told = session.run(fly, "flown", frames, 0.02, False)
    assert told["prepared"] == (True, True)
    # What it says of its data before there is any is true.
    assert told["description"]["xsp3"] == ([1, 4, 4096], "<u4")
    assert (told["written"], told["captured"], told["state"]) == (frames, frames, "Idle")
    assert not told["capture"]
    assert told["mode"] == "Multiple"
    assert told["size"] == 4
    kinds = [kind for kind, _ in told["documents"]]
    assert kinds == ["stream_resource", "stream_datum"]
    resource, datum = (document for _, document in told["documents"])
    assert resource["parameters"]["dataset"] == "/entry/data/data"
    assert datum["indices"] == {"start": 0, "stop": frames}
    path = Path(resource["uri"].removeprefix("file://localhost"))
    assert path == rig.files / "flown.h5"
    written = Written(path)
    assert written.frames == frames
    written.check(rig.settings, 0.02)
    with h5py.File(path) as file:
        assert file["/entry/data/data"].shape == (frames, 4, 4096)
    for channel, (spectrum, factor, _) in told["readings"].items():
        np.testing.assert_array_equal(spectrum, written.mca(frames - 1, 1)[0, channel - 1])
        assert factor == written["dead_time_correction"][frames - 1, channel - 1]


def test_attributes_as_haven_asks_for_them(rig, session):
    """XML text of more than 256 characters in NDAttributesFile: dead-time factors per frame and channel."""
    frames = 4
    told = session.run(fly, "attributes", frames, 0.02, True)
    assert told["before"] == "XSP3.xml"
    names = [f"xsp3-element{channel}-deadtime_factor" for channel in range(4)]
    assert {name: told["description"][name][1] for name in names} == dict.fromkeys(names, "<f8")
    path = rig.files / "attributes.h5"
    written = Written(path)
    with h5py.File(path) as file:
        for channel, name in enumerate(names):
            found = file[f"/entry/instrument/NDAttributes/{name}"]
            assert found.dtype == np.float64
            np.testing.assert_array_equal(found[()], written["dead_time_correction"][:, channel])
    assert rig.ca.get("det1:NDAttributesFile") == "XSP3.xml"


def step(session, name, points):
    """Stage, trigger as often as points are wanted, unstage."""
    from ophyd_async.core import TriggerInfo

    made = detector(session, name)

    async def scan():
        await made.stage()
        await made.prepare(TriggerInfo(livetime=0.01))
        counts = []
        for _ in range(points):
            await made.trigger()
            counts.append(await made.hdf.num_captured.get_value())
        documents = await documents_of(made.collect_asset_docs(points))
        await made.unstage()
        return counts, [kind for kind, _ in documents]

    return loop(session).run_until_complete(scan())


def test_step_scan(rig, session):
    counts, kinds = session.run(step, "stepped", 5)
    assert counts == [1, 2, 3, 4, 5]
    assert kinds[0] == "stream_resource"
    written = Written(rig.files / "stepped.h5")
    np.testing.assert_array_equal(written["series_index"], np.arange(5))
    written.check(rig.settings, 0.01)


def stop(session, name):
    """A scan that is stopped: put 0 without waiting, then the state is good and the file closed."""
    import asyncio

    from ophyd_async.core import TriggerInfo

    made = detector(session, name)

    async def scan():
        await made.stage()
        await made.prepare(TriggerInfo(number_of_events=10_000, livetime=0.01))
        await made.kickoff()
        while await made.hdf.num_captured.get_value() < 3:
            await asyncio.sleep(0.01)
        await made.unstage()
        return (
            (await made.driver.detector_state.get_value()).value, await made.driver.acquire.get_value(),
            await made.hdf.capture.get_value(), await made.hdf.num_captured.get_value(),
            await made.driver.array_counter.get_value(),
        )  # fmt: skip

    return loop(session).run_until_complete(scan())


def test_stop(rig, session):
    state, acquire, capture, captured, counter = session.run(stop, "cut")
    assert (state, acquire, capture) == ("Aborted", False, False)
    # It closes the file and stops the detector at the same time.
    assert 3 <= captured == Written(rig.files / "cut.h5").frames <= counter


def flush(session, name):
    from ophyd_async.core import TriggerInfo

    made = detector(session, name)

    async def scan():
        await made.stage()
        await made.prepare(TriggerInfo(livetime=0.01))
        await made.trigger()
        await made.hdf.flush_now.set(True)
        import h5py

        with h5py.File(f"{session.directory}/{name}.h5", swmr=True) as file:
            frames = len(file["/entry/data/data"])
        swmr = await made.hdf.swmr_mode.get_value()
        await made.unstage()
        return frames, swmr

    return loop(session).run_until_complete(scan())


def test_flush_now(session):
    """What is captured can be read by others, while the file is open."""
    assert session.run(flush, "flushed") == (1, True)


def wrong_type(session):
    """Strictness is not for nothing: a device of wrong types does not connect."""
    from ophyd_async.epics.core import epics_signal_r

    async def check():
        signal = epics_signal_r(int, session.prefix + "det1:AcquireTime", name="wrong")
        try:
            await signal.connect(timeout=60)
        except TypeError as problem:
            return str(problem)
        return ""

    return loop(session).run_until_complete(check())


def test_a_wrong_type_does_not_connect(session):
    assert "AcquireTime" in session.run(wrong_type)
