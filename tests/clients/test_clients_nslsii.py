"""nslsii's detector of 4 channels with 48 ROIs each: 1,822 records, as NSLS-II's beamlines have it."""

from __future__ import annotations

from operator import attrgetter

import numpy as np
from clients_session import until
from system_rig import Written

RECORDS = 1822


def detector(session):
    from clients_ophyd_devices import beamline_detector

    return session.keep("detector", lambda: beamline_detector(session.prefix, session.directory))


def connect(session):
    from clients_ophyd_devices import touch

    device = detector(session)
    device.wait_for_connection(all_signals=False, timeout=60)
    names, absent = touch(device)
    return len(names), absent


def test_it_connects(session):
    """What it needs at once, then all that it declares."""
    records, absent = session.run(connect)
    # The driver itself does not have these, and nobody makes use of them.
    assert set(absent) <= {"cam.asyn_io", "cam.pool_max_buffers"}
    assert records + len(absent) == RECORDS


def set_rois(session):
    device = detector(session)
    device.stage_sigs.clear()
    for channel in device.iterate_channels():
        channel.get_mcaroi(mcaroi_number=1).configure_mcaroi(min_x=625, size_x=30, roi_name="Fe Ka")
        channel.get_mcaroi(mcaroi_number=48).configure_mcaroi(min_x=790, size_x=30, roi_name="Cu Ka")
    first, last = (device.get_channel(channel_number=2).get_mcaroi(mcaroi_number=n) for n in (1, 48))
    until(lambda: last.use.get() == 1 and last.roi_name.get() == "Cu Ka" and last.size_x.get() == 30, "the ROI")
    return [(roi.roi_name.get(), roi.min_x.get(), roi.size_x.get(), roi.use.get()) for roi in (first, last)]


def test_rois(session):
    assert session.run(set_rois) == [("Fe Ka", 625, 30, 1), ("Cu Ka", 790, 30, 1)]


READ = [
    "mca.array_data", "mca_sum.array_data", "sca.clock_ticks", "sca.all_event", "sca.dt_factor", "mcaroi.ts_control",
    "mcaroi.ts_scan_rate", "mcaroi01.total_rbv", "mcaroi01.roi_name", "mcaroi01.use", "mcaroi01.ts_total", "image",
]  # fmt: skip


def count(session, points):
    device = detector(session)
    device.wait_for_connection(all_signals=False, timeout=60)
    device.cam.num_images.set(1).wait(timeout=60)
    device.cam.acquire_time.set(0.02).wait(timeout=60)
    device.cam.trigger_mode.set("Internal").wait(timeout=60)
    device.hdf5.num_capture.set(7).wait(timeout=60)
    wanted = [f"channel{channel:02d}.{name}" for channel in range(1, 5) for name in READ]
    device.read_attrs = [*wanted, "image"]
    for channel in device.iterate_channels():
        # ophyd walks `read_attrs` as a set: whether a channel's reference is read, too, depends on the hash seed.
        channel.get_external_file_ref().kind = "omitted"
    device.stage()
    capture = device.hdf5.capture.get()
    readings = []
    for _ in range(points):
        device.trigger().wait(timeout=60)
        # The class leaves out of its own reading what is deeper than its channels, so these are read one by one.
        read = device.read()
        for one in wanted:
            read |= attrgetter(one)(device).read()
        readings.append({name: value["value"] for name, value in read.items()})
    described = device.describe()
    for one in wanted:
        described |= attrgetter(one)(device).describe()
    documents = list(device.hdf5.collect_asset_docs())
    device.unstage()
    return {
        "capture": capture,
        "readings": readings,
        "described": sorted(described),
        "documents": documents,
        "after": (device.hdf5.capture.get(), device.hdf5.num_capture.get()),
        "name": device.hdf5.full_file_name.get(),
    }


def test_stage_trigger_read_unstage(rig, session):
    points = 3
    rig.ca.set(EraseOnStart=0, ERASE=1)
    told = session.run(count, points)
    assert told["capture"] == 1
    assert told["after"] == (0, 7)
    written = Written(told["name"])
    assert written.frames == points
    written.check(rig.settings, 0.02)
    sums = np.zeros((4, 4096))
    for point, reading in enumerate(told["readings"]):
        frame = written.mca(point, 1)[0]
        scalers = written.scalers(point, 1)[0]
        for channel in range(4):
            name = f"xs_channel{channel + 1:02d}"
            # Read right after the trigger is done, all is of that very frame.
            np.testing.assert_array_equal(reading[f"{name}_mca_array_data"], frame[channel])
            assert reading[f"{name}_sca_clock_ticks"] == scalers[channel, 0]
            assert reading[f"{name}_sca_all_event"] == scalers[channel, 3]
            assert reading[f"{name}_sca_dt_factor"] == written["dead_time_correction"][point, channel]
            assert reading[f"{name}_mcaroi01_total_rbv"] == frame[channel, 625:655].sum()
            assert reading[f"{name}_mcaroi01_roi_name"] == "Fe Ka"
            assert reading[f"{name}_mcaroi01_use"] == 1
        sums += frame
    np.testing.assert_array_equal(
        [told["readings"][-1][f"xs_channel{channel:02d}_mca_sum_array_data"] for channel in range(1, 5)], sums
    )
    assert set(told["readings"][0]) == set(told["described"])
    kinds = [kind for kind, _ in told["documents"]]
    assert kinds[:2] == ["resource", "resource"]
    assert kinds.count("datum") == points


def stop_in_the_middle(session):
    device = detector(session)
    device.cam.num_images.set(10_000).wait(timeout=60)
    device.stage()
    status = device.trigger()
    until(lambda: device.cam.array_counter.get() > 3, "frames")
    device.cam.acquire.put(0)
    status.wait(timeout=60)
    state = device.cam.detector_state.get()
    device.unstage()
    frames = device.cam.array_counter.get()
    captured = until(lambda: device.hdf5.num_captured.get() == frames and frames, "all frames in the file")
    return state, frames, captured, device.hdf5.full_file_name.get()


def test_stop(session):
    state, frames, captured, name = session.run(stop_in_the_middle)
    assert state == 10
    assert frames == captured == Written(name).frames


def clear_rois(session):
    device = detector(session)
    for channel in device.iterate_channels():
        channel.clear_all_rois()
    rois = list(device.get_channel(channel_number=4).iterate_mcarois())
    until(lambda: not any(roi.use.get() for roi in rois), "the end of all ROIs")
    return len(rois)


def test_clear_rois(session):
    assert session.run(clear_rois) == 48
