"""What clients see of each kind of parameter."""

from __future__ import annotations

import numpy as np
import pytest
from ca_clients import found, pvs, wait_until

from xsp3ioc.ioc import pv_table


def describe(prefix, *names):
    import epics

    described = {}
    for name in names:
        pv = pvs(prefix, name)
        value = pv.get()
        information = epics.ca.get_ctrlvars(pv.chid) or {}
        described[name] = {
            "type": epics.dbr.Name(epics.ca.field_type(pv.chid)).lower(),
            "max": epics.ca.element_count(pv.chid),
            "value": value.tolist() if isinstance(value, np.ndarray) else value,
            "text": pv.get(as_string=True),
            "enums": tuple(epics.ca.get_enum_strings(pv.chid)) if pv.type == "time_enum" else (),
            "severity": pv.severity,
            "access": pv.access,
            **{
                key: information.get(key)
                for key in ("units", "precision", "upper_ctrl_limit", "lower_ctrl_limit", "upper_disp_limit")
            },
        }
    return described


def test_types_values_and_limits(toy, libca):
    names = (
        "det1:AcquireTime det1:Dwell det1:NumImages det1:ImageMode_RBV det1:Acquire det1:Acquire_RBV HDF1:FilePath "
        "det1:Label C1:DTFactor_RBV MCA2:ArrayData det1:ToyState_RBV det1:StatusMessage_RBV det1:C2_SCA4_THRESHOLD"
    ).split()
    seen = libca(describe, toy.prefix, *names)

    def check(name, **expected):
        assert {key: seen[name][key] for key in expected} == expected, name

    check("det1:Dwell", type="double", max=1, value=0.25, units="s", precision=3, access="read/write")
    check("det1:Dwell", upper_ctrl_limit=53.0, lower_ctrl_limit=1e-6, upper_disp_limit=53.0)
    # What clients know has the limits and units that they know: none.
    check("det1:AcquireTime", type="double", units="", precision=3, upper_ctrl_limit=0)
    # A limit on one side only is no limit in EPICS.
    check("det1:NumImages", type="long", value=16, upper_ctrl_limit=0, lower_ctrl_limit=0)
    check("det1:ImageMode_RBV", type="enum", value=1, enums=("Single", "Multiple", "Continuous"), access="read-only")
    check("det1:Acquire", value=0, enums=("Done", "Acquire"), access="read/write")
    check("det1:Acquire_RBV", value=0, enums=("Done", "Acquiring"), access="read-only")
    check("HDF1:FilePath", type="char", max=256, text="", access="read/write")
    check("det1:Label", type="string", max=1, value="toy", access="read/write")
    check("C1:DTFactor_RBV", type="double", value=1.0, precision=5)
    check("MCA2:ArrayData", type="double", max=4096, value=[])
    check("det1:ToyState_RBV", value=2, severity=3)
    check("det1:StatusMessage_RBV", type="char", max=256, text="hello", severity=0)
    check("det1:C2_SCA4_THRESHOLD", type="long", value=0)


def test_fields_are_there_when_asked_for(toy, libca):
    names = "Dwell.EGU Dwell.PREC NumImages.RTYP Dwell.DRVH Label.DESC Label.VAL NumImages.SCAN"
    seen = libca(
        describe, toy.prefix, *(f"det1:{name}" for name in names.split()), "MCA1:ArrayData.NELM", "MCA1:ArrayData.NORD",
        "HDF1:FilePath.FTVL", "det1:Label.VAL$",
    )  # fmt: skip
    texts = {name.split(":")[1]: one["text"] for name, one in seen.items()}
    assert texts == {
        "Dwell.EGU": "s",
        "Dwell.PREC": "3",
        "NumImages.RTYP": "longout",
        "Dwell.DRVH": "53",
        "Label.DESC": "A short text",
        "Label.VAL": "toy",
        "NumImages.SCAN": "Passive",
        "ArrayData.NELM": "4096",
        "ArrayData.NORD": "0",
        "FilePath.FTVL": "CHAR",
        "Label.VAL$": "toy",
    }


def test_what_is_not_there(toy, libca):
    names = {
        "det1:Label": True,
        "det1:Flicker_RBV": False,
        "det1:Label.NOPE": False,
        "Label": False,
        "det1:Hidden": False,
        "Old:Counter": True,
    }
    assert libca(found, toy.prefix, names) == list(names.values())


def test_every_record_of_the_list_is_served(toy, libca):
    from toy_server import Toy, parameters

    rows = pv_table(parameters(Toy).values(), 2, toy.prefix)
    names = [row.name.removeprefix(toy.prefix) for row in rows]
    assert len(names) == len(set(names))
    assert {"det1:NumImages", "det1:NumImages_RBV", "C2:DTFactor_RBV", "Old:Counter", "det1:EraseOnStart"} <= set(names)
    assert "det1:EraseOnStart_RBV" not in names
    listed = dict(zip(names, rows, strict=True))
    names = [pv for pv in names if pv.startswith(("det1:", "Old:", "C1:", "HDF1:F")) and "Attr" not in pv]
    seen = libca(describe, toy.prefix, *names)
    for name in names:
        row = listed[name]
        assert seen[name]["type"] == row.native.lower()
        assert seen[name]["max"] == row.count
        assert seen[name]["enums"] == row.choices
        assert seen[name]["access"] == {"rw": "read/write", "ro": "read-only"}[row.access]


def put_texts(prefix):
    import epics

    path, path_readback, mode = pvs(prefix, "HDF1:FilePath", "HDF1:FilePath_RBV", "det1:ImageMode")
    seen = []
    long = "/data/" + 200 * "x"
    for text in ("/tmp/some/where", long, "", "/tmp"):
        assert epics.caput(prefix + "HDF1:FilePath", text, wait=True) == 1
        seen.append((path.get(as_string=True), path_readback.get(as_string=True)))
        assert seen[-1] == (text, text)
    # As an array of numbers, zeros at its end, and as a DBR_STRING.
    path.put(np.frombuffer(b"/numbers\0\0\0", np.uint8), wait=True)
    seen.append(path.get(as_string=True))
    epics.ca.put(path.chid, "/string", ftype=epics.dbr.STRING, wait=True)
    seen.append(path.get(as_string=True))
    epics.ca.put(mode.chid, "Continuous", ftype=epics.dbr.STRING, wait=True)
    seen.append(mode.get())
    return seen[-3:]


def test_text(toy, libca):
    assert libca(put_texts, toy.prefix) == ["/numbers", "/string", 2]


def monitor_fixed_count(prefix):
    import epics

    message, spectrum, trigger = pvs(prefix, "det1:StatusMessage_RBV", "MCA1:ArrayData", "det1:Spectra")
    trigger.put(3, wait=True)
    wait_until(lambda: np.sum(spectrum.get()) == 3 * 4096, "the last spectrum")
    heard = []
    keep = [
        epics.ca.create_subscription(
            pv.chid, count=count, callback=lambda pvname, value, **_: heard.append((len(value), float(np.sum(value))))
        )
        for pv, count in ((message, 256), (spectrum, 10), (spectrum, 0))
    ]
    wait_until(lambda: len(heard) == 3, "three values")
    del keep
    return heard


def test_a_monitor_of_fixed_length_is_filled_with_zeros(toy, libca):
    assert libca(monitor_fixed_count, toy.prefix) == [(256, float(sum(b"hello"))), (10, 30.0), (4096, 3 * 4096.0)]


def read_filtered(prefix):
    pv = pvs(prefix, 'C1:DTFactor_RBV.{"ts":{}}')
    part = pvs(prefix, "MCA1:ArrayData.[2:3]", auto_monitor=False)
    pvs(prefix, "det1:Spectra").put(5, wait=True)
    wait_until(lambda: 5.0 in part.get(), "the last spectrum")
    return pv.get(use_monitor=False), part.get().tolist()


def test_filters(toy, libca):
    assert libca(read_filtered, toy.prefix) == (1.0, [5.0, 5.0])


@pytest.mark.parametrize("name", ["det1:NumImages", "MCA1:ArrayData", "HDF1:FilePath_RBV"])
def test_caproto_client_reads(toy, name, monkeypatch):
    from caproto.sync.client import read

    for key, value in toy.environment.items():
        monkeypatch.setenv(key, value)
    assert read(toy.prefix + name, repeater=False, timeout=60).status.name == "ECA_NORMAL"
