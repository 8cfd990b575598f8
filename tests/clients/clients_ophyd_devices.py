"""Detectors as beamlines make them of ophyd's and nslsii's classes; imported in the clients' processes only."""

from __future__ import annotations

from nslsii.areadetector.xspress3 import Xspress3HDF5Plugin, Xspress3Trigger, build_xspress3_class
from ophyd import Component, DetectorBase, SingleTrigger
from ophyd.areadetector.cam import Xspress3DetectorCam
from ophyd.areadetector.detectors import Xspress3Detector
from ophyd.areadetector.filestore_mixins import FileStoreHDF5IterativeWrite
from ophyd.areadetector.plugins import HDF5Plugin_V34, TIFFPlugin_V34
from ophyd.signal import EpicsSignalBase

EpicsSignalBase.set_defaults(timeout=60)


class FilePlugin(HDF5Plugin_V34, FileStoreHDF5IterativeWrite):
    """The plugin with ophyd's file store."""

    def get_frames_per_point(self):
        return self.parent.cam.num_images.get()


def single_trigger(prefix, directory):
    """A detector that takes a series per trigger, into one file from stage to unstage."""

    class Detector(SingleTrigger, DetectorBase):
        cam = Component(Xspress3DetectorCam, "det1:")
        hdf5 = Component(FilePlugin, "HDF1:", write_path_template=directory, root="/")

    return Detector(prefix, name="xsp3")


class WithTheWrongPlugin(DetectorBase):
    """Somebody mixed up two suffixes."""

    cam = Component(Xspress3DetectorCam, "det1:")
    tiff = Component(TIFFPlugin_V34, "HDF1:")


def beamline_detector(prefix, directory):
    """nslsii's: 4 channels of 48 ROIs."""
    made = build_xspress3_class(
        channel_numbers=range(1, 5),
        mcaroi_numbers=range(1, 49),
        image_data_key="image",
        xspress3_parent_classes=(Xspress3Detector, Xspress3Trigger),
        extra_class_members={
            "hdf5": Component(
                Xspress3HDF5Plugin, "HDF1:", name="h5p", root_path=directory, path_template=directory,
                resource_kwargs={},
            )
        },
    )  # fmt: skip
    return made(prefix, name="xs")


def touch(device):
    """Connect every signal, also the lazy ones: names of all its records, and signals that do not connect."""
    names = set()

    def connects(dotted_name, seconds):
        try:
            signal = device
            for part in dotted_name.split("."):
                signal = getattr(signal, part)
            signal.wait_for_connection(timeout=seconds)
        except TimeoutError:
            return False
        pvs = (getattr(signal, name, None) for name in ("_read_pv", "_write_pv"))
        names.update(pv.pvname for pv in pvs if pv is not None)
        return True

    signals = [walk.dotted_name for walk in list(device.walk_components()) if walk.item.is_signal]
    absent = [name for name in signals if not connects(name, 2)]
    # On a machine that does much else two seconds are not always enough.
    return names, [name for name in absent if not connects(name, 10)]
