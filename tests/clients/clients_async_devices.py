"""ophyd-async's areaDetector classes for this detector; imported in the clients' processes only."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated as A  # noqa: N817

import numpy as np
from ophyd_async.core import (
    Array1D,
    DetectorTriggerLogic,
    Device,
    DeviceVector,
    SignalR,
    SignalRW,
    SignalX,
    StaticFilenameProvider,
    StaticPathProvider,
    StrictEnum,
)
from ophyd_async.epics import adcore
from ophyd_async.epics.core import PvSuffix, epics_signal_r


class TriggerMode(StrictEnum):
    """The eight of the driver, in its words."""

    SOFTWARE = "Software"
    INTERNAL = "Internal"
    IDC = "IDC"
    TTL_VETO_ONLY = "TTL Veto Only"
    TTL_BOTH = "TTL Both"
    LVDS_VETO_ONLY = "LVDS Veto Only"
    LVDS_BOTH = "LVDS Both"
    SOFTWARE_INTERNAL = "Software + Internal"


class Driver(adcore.ADBaseIO):
    """`det1:`, with what haven asks of it."""

    trigger_mode: A[SignalRW[TriggerMode], PvSuffix.rbv("TriggerMode")]
    erase_on_start: A[SignalRW[bool], PvSuffix("EraseOnStart")]
    erase: A[SignalX, PvSuffix("ERASE")]
    dead_time_correction: A[SignalRW[bool], PvSuffix("CTRL_DTC")]
    number_of_elements: A[SignalR[int], PvSuffix("MaxSizeY_RBV")]


class Element(Device):
    """What haven reads of each channel."""

    def __init__(self, prefix, number):
        self.spectrum = epics_signal_r(Array1D[np.float64], f"{prefix}MCA{number}:ArrayData")
        self.dead_time_percent = epics_signal_r(float, f"{prefix}C{number}SCA:10:Value_RBV")
        self.dead_time_factor = epics_signal_r(float, f"{prefix}C{number}SCA:9:Value_RBV")
        super().__init__()


@dataclass
class InternalTrigger(DetectorTriggerLogic):
    """Haven's settings before a series."""

    driver: Driver

    async def prepare_internal(self, num: int, livetime: float, deadtime: float):
        await asyncio.gather(
            self.driver.trigger_mode.set(TriggerMode.INTERNAL), self.driver.dead_time_correction.set(False)
        )
        await adcore.prepare_exposures(self.driver, num, livetime, deadtime)


def make_detector(prefix: str, directory: str, name: str):
    """A StandardDetector with driver, HDF5 plugin and channels; its files are named after it."""
    driver = Driver(prefix + "det1:")
    paths = StaticPathProvider(StaticFilenameProvider(name), Path(directory))
    detector = adcore.AreaDetector(
        driver, prefix, adcore.ADWriterFactory.hdf(paths, writer_suffix="HDF1:"),
        acquire_logic=adcore.ADAcquireLogic(driver), trigger_logic=InternalTrigger(driver), name="xsp3",
    )  # fmt: skip
    detector.elements = DeviceVector({number: Element(prefix, number) for number in range(1, 5)})
    detector.set_name("xsp3")
    return detector


def dead_time_attributes(channels: int) -> str:
    """The XML text that haven writes into NDAttributesFile."""
    return adcore.ndattributes_to_xml(
        [
            adcore.NDAttributeParam(
                name=f"xsp3-element{channel}-deadtime_factor", param="XSP3_CHAN_DTFACTOR",
                datatype=adcore.NDAttributeDataType.DOUBLE, addr=channel, description=f"Chan {channel} DTC Factor",
            )
            for channel in range(channels)
        ]
    )  # fmt: skip


async def connect(make, prefix):
    """Connect strictly; how many signals it has."""
    device = make(prefix)
    await device.connect(timeout=60)
    return sum(1 for _ in signals(device))


def signals(device):
    for _, child in device.children():
        if isinstance(child, SignalR) or not list(child.children()):
            yield child
        else:
            yield from signals(child)
