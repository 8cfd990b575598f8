"""ophyd: its areaDetector classes, with the checks and habits that beamlines rely on."""

from __future__ import annotations

import numpy as np
from clients_session import until
from system_rig import Written


def detector(session):
    from clients_ophyd_devices import single_trigger

    def make():
        made = single_trigger(session.prefix, session.directory)
        made.wait_for_connection(all_signals=False, timeout=60)
        return made

    return session.keep("detector", make)


def connect_all(session, suffix):
    from clients_ophyd_devices import touch
    from ophyd.areadetector.cam import Xspress3DetectorCam
    from ophyd.areadetector.plugins import HDF5Plugin_V34

    device = {"HDF1:": HDF5Plugin_V34, "det1:": Xspress3DetectorCam}[suffix](session.prefix + suffix, name="all")
    if suffix == "HDF1:":
        device.wait_for_connection(all_signals=True, timeout=60)
    names, absent = touch(device)
    return len(names), absent


def test_all_signals_of_the_file_plugin_connect(session):
    """Also those that are lazy."""
    records, absent = session.run(connect_all, "HDF1:")
    assert absent == []
    assert records == 296


def test_all_signals_of_the_camera_connect(session):
    """But two that the driver itself does not have, and of which nobody makes use."""
    records, absent = session.run(connect_all, "det1:")
    assert set(absent) <= {"asyn_io", "pool_max_buffers"}
    assert records + len(absent) == 98


def settings_of(device):
    return {
        "hdf5": [getattr(device.hdf5, name).get() for name in ("file_template", "file_write_mode", "num_capture")],
        "cam": [getattr(device.cam, name).get() for name in ("image_mode", "array_callbacks")],
        "capture": device.hdf5.capture.get(),
        "plugin": [device.hdf5.blocking_callbacks.get(), device.hdf5.enable.get(), device.hdf5.auto_save.get()],
    }


def prime_and_stage(session):
    """Before the first frame of a new server."""
    import numpy

    device = detector(session)
    sizes = list(device.hdf5.array_size.get())
    device.stage()
    staged = device.hdf5.capture.get(), device.hdf5.full_file_name.get()
    device.unstage()
    return sizes, bool(numpy.sum(sizes)), staged


def test_a_new_server_is_primed(session):
    """ophyd's stage raises UnprimedPlugin as long as the plugin has seen no array; here its sizes are known."""
    sizes, primed, staged = session.run(prime_and_stage)
    assert sizes == [0, 4, 4096]
    assert primed
    assert staged[0] == 1


def count(session, frames, points):
    """What a plan does: stage, trigger and read as often as points are wanted, unstage."""
    device = detector(session)
    device.cam.num_images.set(frames).wait(timeout=60)
    device.cam.acquire_time.set(0.01).wait(timeout=60)
    device.hdf5.num_capture.set(3).wait(timeout=60)
    before = settings_of(device)
    device.stage()
    staged = settings_of(device)
    readings = []
    for _ in range(points):
        status = device.trigger()
        status.wait(timeout=60)
        readings.append((device.cam.array_counter.get(), device.cam.detector_state.get(), device.read()))
    documents = list(device.hdf5.collect_asset_docs())
    captured = device.hdf5.num_captured.get()
    device.unstage()
    return {
        "before": before,
        "staged": staged,
        "after": settings_of(device),
        "readings": [(counter, state, sorted(reading)) for counter, state, reading in readings],
        "documents": documents,
        "captured": captured,
        "name": device.hdf5.full_file_name.get(),
        "description": sorted(device.describe()),
        "capture": device.hdf5.capture.get(),
    }


def test_single_trigger_with_a_file_store(rig, session):
    frames, points = 3, 4
    told = session.run(count, frames, points)
    # As staged, and put back after.
    assert told["staged"]["hdf5"] == ["%s%s_%6.6d.h5", 2, 0]
    assert told["staged"]["cam"] == [1, 1]
    assert told["staged"]["capture"] == 1
    assert told["staged"]["plugin"][:2] == ["Yes", "Enable"]
    assert told["after"] == told["before"]
    assert told["before"]["hdf5"][2] == 3
    # Each trigger is a series of its own, all are in the file.
    assert [reading[:2] for reading in told["readings"]] == [(frames, 0)] * points
    assert told["captured"] == frames * points
    (kind, resource), *datums = told["documents"]
    assert (kind, resource["spec"]) == ("resource", "AD_HDF5")
    assert resource["resource_kwargs"] == {"frame_per_point": frames}
    assert "/" + resource["resource_path"] == told["name"]
    assert [kind for kind, _ in datums] == ["datum"] * points
    written = Written(told["name"])
    assert written.frames == frames * points
    np.testing.assert_array_equal(written["series_index"], np.repeat(np.arange(points), frames))
    written.check(rig.settings, 0.01)
    assert told["capture"] == 0


def stage_the_wrong_plugin(session):
    from clients_ophyd_devices import WithTheWrongPlugin
    from ophyd.utils.errors import PluginMisconfigurationError

    device = WithTheWrongPlugin(session.prefix, name="wrong")
    device.tiff.wait_for_connection(timeout=60)
    try:
        device.tiff.stage()
    except PluginMisconfigurationError as problem:
        return str(problem)
    finally:
        device.tiff.unstage()
    return None


def test_the_wrong_plugin_is_found_out(session):
    message = session.run(stage_the_wrong_plugin)
    assert "NDFileHDF5 ver" in message


def types_of_all_plugins(session):
    from ophyd.areadetector import plugins

    classes = {
        "HDF1:": plugins.HDF5Plugin_V34,
        "Proc1:": plugins.ProcessPlugin_V34,
        "ROI2:": plugins.ROIPlugin_V34,
        "ROISUM3:": plugins.ROIPlugin_V34,
        "MCA1:": plugins.ImagePlugin_V34,
        "MCASUM4:": plugins.ImagePlugin_V34,
        "MCA2ROI:": plugins.ROIStatPlugin_V34,
        "C1SCA:": plugins.AttributePlugin_V34,
        "C1SCA:TS:": plugins.TimeSeriesPlugin_V34,
    }
    wrong = {}
    for suffix, made in classes.items():
        plugin = made(session.prefix + suffix, name="plugin")
        plugin.plugin_type.wait_for_connection(timeout=60)
        until(lambda plugin=plugin: plugin._misconfigured is not None, suffix)
        if plugin._misconfigured:
            wrong[suffix] = plugin.plugin_type.get(), made._plugin_type
    return wrong


def test_each_plugin_says_what_it_is(session):
    assert session.run(types_of_all_plugins) == {}


def warm_up(session):
    device = detector(session)
    device.cam.image_mode.set("Multiple").wait(timeout=60)
    before = device.cam.image_mode.get(), device.cam.acquire_time.get(), device.cam.acquire_period.get()
    device.hdf5.warmup()
    after = device.cam.image_mode.get(), device.cam.acquire_time.get(), device.cam.acquire_period.get()
    return before, after, device.cam.array_counter.get(), list(device.hdf5.array_size.get())


def test_warmup(session):
    """It sets ImageMode and AcquirePeriod and waits for their readbacks; then it puts back what was there."""
    before, after, frames, sizes = session.run(warm_up)
    assert before == after
    assert before[0] == 1
    assert frames == 1
    assert sizes == [0, 4, 4096]


def paths_of_the_camera(session):
    device = detector(session)
    device.cam.config_path.wait_for_connection(timeout=60)
    return {
        "paths": [device.cam.config_path.get(), device.cam.config_save_path.get()],
        "read": sorted(device.read_configuration()),
        "size": device.cam.array_size.get()._asdict(),
        "state": device.cam.detector_state.get(),
    }


def test_the_camera_class(session):
    told = session.run(paths_of_the_camera)
    assert all(isinstance(path, str) for path in told["paths"])
    assert {"xsp3_cam_config_path", "xsp3_cam_config_save_path"} <= set(told["read"])
    assert (told["size"]["array_size_x"], told["size"]["array_size_y"]) == (4096, 4)
    assert told["state"] == 0


def stop_in_the_middle(session):
    device = detector(session)
    device.cam.num_images.set(10_000).wait(timeout=60)
    device.stage()
    status = device.trigger()
    until(lambda: device.cam.array_counter.get() > 3, "frames")
    device.cam.acquire.put(0)
    status.wait(timeout=60)
    state = device.cam.detector_state.get()
    frames = device.cam.array_counter.get()
    captured = until(lambda: device.hdf5.num_captured.get() == frames and frames, "all frames in the file")
    device.unstage()
    return state, frames, captured, device.hdf5.full_file_name.get()


def test_stop(session):
    state, frames, captured, name = session.run(stop_in_the_middle)
    assert state == 10
    assert frames == captured == Written(name).frames
