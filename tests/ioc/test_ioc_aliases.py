"""Older names of records."""

from __future__ import annotations

import pytest
from ca_clients import found, pvs
from ca_processes import Client

from xsp3ioc.aliases import today


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("C3SCA1:Value_RBV", "C3SCA:0:Value_RBV"),
        ("C3SCA8:Value_RBV", "C3SCA:7:Value_RBV"),
        ("C3SCA9:Value_RBV", ""),
        ("C1SCA:TSNumPoints", "C1SCA:TS:TSNumPoints"),
        ("C2_SCA3:Value_RBV", ""),
        ("Acquire", ""),
    ],
)
def test_names_of_areadetector_2(old, new):
    assert today(old, vendor=False) == new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("C2_SCA3:Value_RBV", "C2SCA:3:Value_RBV"),
        ("C2_ROI14:Value_RBV", "MCA2ROI:14:Total_RBV"),
        ("C2_MCA_ROI1_LLM", "MCA2ROI:1:FirstX"),
        ("ARR12:ArrayData", "MCA12:ArrayData"),
        ("ARRSUM1:ArrayData", "MCASUM1:ArrayData"),
        ("HDF5:Capture", "HDF1:Capture"),
        ("C1_DTFactor_RBV", "C1:DTFactor_RBV"),
        ("C1_SCA4_THRESHOLD", "det1:C1_SCA4_THRESHOLD"),
        ("Acquire", "det1:Acquire"),
    ],
)
def test_names_of_the_vendors_old_server(old, new):
    assert today(old, vendor=True) == new


def read_old(prefix, names):
    import epics

    seen = found(prefix, names)
    if seen[-1]:
        epics.caput(prefix + "NumImages", 7, wait=True)
        return seen, pvs(prefix, "det1:NumImages_RBV").get()
    return seen, None


@pytest.mark.parametrize("legacy", [False, True])
def test_old_names_reach_the_records_of_today(start_server, legacy):
    server = start_server(server={"legacy_names": legacy})
    names = ["C1SCA1:Value_RBV", "ARR2:ArrayData", "HDF5:Capture", "C9_SCA0:Value_RBV", "NumImages"]
    there = [True, True, True, False, True] if legacy else [True, False, False, False, False]
    seen = Client(server.environment, read_old, server.prefix, dict(zip(names, there, strict=True))).result()
    assert seen == (there, 7 if legacy else None)


def set_limits(prefix):
    low, high, first, size = pvs(prefix, "C2_MCA_ROI3_LLM", "C2_MCA_ROI3_HLM", "MCA2ROI:3:MinX", "MCA2ROI:3:SizeX")
    seen = []
    for pv, value in ((high, 500), (low, 400), (high, 450), (low, 460)):
        pv.put(value, wait=True)
        seen.append((first.get(use_monitor=False), size.get(use_monitor=False)))
    return seen


def test_limits_of_a_roi_by_its_first_and_last_bin(start_server):
    server = start_server(server={"legacy_names": True})
    seen = Client(server.environment, set_limits, server.prefix).result()
    assert seen == [(0, 501), (400, 101), (400, 51), (460, 0)]
