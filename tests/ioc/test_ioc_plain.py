"""Records that only have to be there."""

from __future__ import annotations

from ca_clients import INVALID, pvs, wait_until


def write_plain(prefix):
    size, size_rbv, filter_type, busy, offset = pvs(
        prefix, "HDF1:JPEGQuality", "HDF1:JPEGQuality_RBV", "Proc1:FilterType", "Proc1:PreAllocBuffers", "Proc1:Offset"
    )
    seen = {}
    assert size.put(77, wait=True) == 1
    seen["kept"] = size.get(), size_rbv.get()
    size.put(101, wait=True)
    wait_until(lambda: size.severity == INVALID, "the alarm")
    seen["refused"] = size.get(), size_rbv.get(), size.severity, size_rbv.severity
    seen["message"] = pvs(prefix, "det1:StatusMessage_RBV").get(as_string=True, use_monitor=False)
    size.put(80, wait=True)
    wait_until(lambda: (size.get(), size.severity) == (80, 0), "the end of the alarm")
    seen["again"] = size.get(), size.severity
    filter_type.put("Difference", wait=True)
    seen["choice"] = filter_type.get(use_monitor=False)
    heard = []
    busy.add_callback(lambda value, **_: heard.append(value))
    busy.put(1, wait=True)
    wait_until(lambda: heard[-2:] == [1, 0], "both edges")
    seen["busy"] = heard[-2:]
    offset.put(1.5, wait=True)
    seen["number"] = offset.get(use_monitor=False)
    return seen


def test_plain_records_keep_what_is_written(toy, libca):
    seen = libca(write_plain, toy.prefix)
    assert seen.pop("message") == "HDF1:JPEGQuality = 101 is above 100"
    assert seen == {
        "kept": (77, 77),
        "refused": (77, 77, 3, 0),
        "again": (80, 0),
        "choice": 3,
        "busy": [1, 0],
        "number": 1.5,
    }


def write_field(prefix):
    import epics

    scan, label = pvs(prefix, "C1SCA:TS:TSRead.SCAN", "det1:AcquireTime.DESC")
    seen = [scan.get(as_string=True)]
    epics.caput(prefix + "det1:AcquireTime.DESC", "Dwell of the scan", wait=True)
    epics.caput(prefix + "det1:AcquireTime.EGU", "s", wait=True)
    epics.caput(prefix + "det1:AcquireTime.PREC", 6, wait=True)
    epics.caput(prefix + "Proc1:DataTypeOut.DISA", 1, wait=True)
    time_ = pvs(prefix, "det1:AcquireTime")
    return [
        *seen,
        label.get(use_monitor=False),
        time_.get_ctrlvars()["units"],
        time_.precision,
        epics.caget(prefix + "Proc1:DataTypeOut.DISA"),
        epics.caget(prefix + "Proc1:DataTypeOut.TEST"),
    ]


def test_fields_keep_what_is_written(toy, libca):
    assert libca(write_field, toy.prefix) == [".5 second", "Dwell of the scan", "s", 6, 1, "Automatic"]


def write_nonsense(prefix):
    seen = []
    for field, value in (("SCAN", 99), ("PREC", 100000), ("HOPR", float("nan")), ("HOPR", 7.0)):
        pv = pvs(prefix, f"det1:AcquireTime.{field}", auto_monitor=False)
        before = pv.get()
        pv.put(value, wait=True)
        seen.append(pv.get() == before)
    return seen


def test_fields_refuse_what_makes_no_sense(toy, libca):
    assert libca(write_nonsense, toy.prefix) == [True, True, True, False]
