"""Every line of the catalogue of records, against a running server, by a client that knows nothing of ours."""

from __future__ import annotations

import csv
import re
import time
from pathlib import Path

import numpy as np
import pytest
from ca_clients import TIMEOUT
from ca_processes import Client

CHANNELS = 4
SLOTS = {"roi": range(1, 49), "sca": range(11)}
CATALOGUE = Path(__file__).parents[2] / "xsp3ioc" / "data" / "records.tsv"
TYPES = {
    "bo": "enum", "bi": "enum", "mbbo": "enum", "mbbi": "enum", "busy": "enum", "longout": "long", "longin": "long",
    "asyn": "long", "seq": "long", "sseq": "long", "fanout": "long", "ao": "double", "ai": "double", "calc": "double",
    "calcout": "double", "dfanout": "double", "stringout": "string", "stringin": "string",
}  # fmt: skip
LONGER = {"det1:NDAttributesFile", "HDF1:NDAttributesFile"}
"""A whole XML text goes in."""
FIELDS = ("DESC", "EGU", "PREC", "HOPR", "LOPR", "DRVH", "DRVL", "NELM", "RTYP", "SCAN", "DISA", "PROC")


def lines():
    with CATALOGUE.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def instances(line):
    """Names that a line stands for, and what is counted in them."""
    pv = line["pv"]
    slot = next((slot for slot in SLOTS if f"{{{slot}}}" in pv), None)
    for chan in range(1, CHANNELS + 1) if "{chan}" in pv else (0,):
        for k in SLOTS[slot] if slot else (0,):
            yield pv.replace("{chan}", str(chan)).replace(f"{{{slot}}}", str(k)), chan, k


def field(line, name):
    found = re.search(rf"(?:^| ){name}=(.*?)(?= [A-Z.]+=|$)", line["units_precision_limits"])
    return found[1] if found else ""


def describe_all(prefix, names):
    """Type, count, access, metadata and value of every name, by libca."""
    from epics import ca, dbr

    chids = {name: ca.create_channel(prefix + name, connect=False, auto_cb=False) for name in names}
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end and not all(map(ca.isConnected, chids.values())):
        ca.poll(0.05, 0.1)
    found = {}
    connected = {name: chid for name, chid in chids.items() if ca.isConnected(chid)}
    for some in np.array_split(list(connected), max(1, len(connected) // 500)):
        kinds = {name: ca.field_type(connected[name]) for name in some}
        for name in some:
            control = dbr.TIME_STRING if kinds[name] == dbr.STRING else kinds[name] + dbr.CTRL_STRING
            ca.get_with_metadata(connected[name], ftype=control, wait=False)
        for name in some:
            chid = connected[name]
            control = dbr.TIME_STRING if kinds[name] == dbr.STRING else kinds[name] + dbr.CTRL_STRING
            got = ca.get_complete_with_metadata(chid, ftype=control, timeout=TIMEOUT) or {}
            value = got.pop("value", None)
            found[str(name)] = {
                **{key: one for key, one in got.items() if isinstance(one, str | int | float | tuple)},
                "enums": tuple(got.get("enum_strs", ())),
                "type": dbr.Name(kinds[name]).lower(),
                "max": ca.element_count(chid),
                "access": ca.access(chid),
                "value": value.tolist() if isinstance(value, np.ndarray) else value,
            }
    return found


@pytest.fixture(scope="module")
def seen(server):
    names = [name for line in lines() for name, _, _ in instances(line)]
    assert len(names) == 10660
    return Client(server.environment, describe_all, server.prefix, names).result()


def test_every_record_is_there(seen):
    assert not [name for line in lines() for name, _, _ in instances(line) if name not in seen]


def test_types_and_counts(seen):
    wrong = []
    for line in lines():
        kind = field(line, "FTVL").lower() or TYPES[line["record_type"]]
        count = int(field(line, "NELM") or 1)
        for name, _, _ in instances(line):
            one = seen[name]
            fits = one["max"] == count or (line["pv"] in LONGER and one["max"] >= 8192)
            if one["type"] != kind or not fits:
                wrong.append((name, one["type"], one["max"], kind, count))
    assert not wrong


def test_enumerations(seen):
    wrong = []
    for line in lines():
        if TYPES.get(line["record_type"]) != "enum":
            continue
        choices = [choice.partition("=") for choice in line["enum_strings"].split("|") if choice]
        assert sorted(choices) == sorted(set(choices))
        texts = tuple(text for _, _, text in choices) or ("", "")
        wrong += [(name, seen[name]["enums"], texts) for name, _, _ in instances(line) if seen[name]["enums"] != texts]
    assert not wrong


def test_access(seen):
    allowed = {"rw": "read/write", "ro": "read-only"}
    assert not [
        (name, seen[name]["access"])
        for line in lines()
        for name, _, _ in instances(line)
        if seen[name]["access"] != allowed[line["access"]]
    ]


def test_units_precision_and_limits(seen):
    wrong = []
    for line in lines():
        expected = {"units": field(line, "EGU")}
        if TYPES.get(line["record_type"]) == "double" or field(line, "FTVL") == "DOUBLE":
            expected["precision"] = int(field(line, "PREC") or 0)
        if field(line, "DRVH"):
            expected["upper_ctrl_limit"] = float(field(line, "DRVH"))
            expected["lower_ctrl_limit"] = float(field(line, "DRVL") or 0)
        for name, _, _ in instances(line):
            one = seen[name]
            if one["type"] not in ("long", "double"):
                continue
            if any(one.get(key) != value for key, value in expected.items()):
                wrong.append((name, {key: one.get(key) for key in expected}, expected))
    assert not wrong


def test_fields(server, seen):
    wanted = {}
    for line in lines():
        if line["tier"] in "AB":
            wanted[list(instances(line))[-1][0]] = line
    names = list(wanted)
    asked = [f"{name}.{one}" for name in names for one in FIELDS]
    fields = Client(server.environment, describe_all, server.prefix, asked).result()
    assert not [name for name in asked if name not in fields]
    wrong = []
    for name, line in wanted.items():
        scan = fields[f"{name}.SCAN"]
        expected = {
            "RTYP": line["record_type"],
            "EGU": field(line, "EGU"),
            "PREC": int(field(line, "PREC") or 0),
            "NELM": seen[name]["max"],
            "DRVH": float(field(line, "DRVH") or 0),
        }
        wrong += [
            (name, key, fields[f"{name}.{key}"]["value"], value)
            for key, value in expected.items()
            if fields[f"{name}.{key}"]["value"] != value
        ]
        expected_scan = field(line, "BOOT.SCAN") or field(line, "SCAN") or "Passive"
        if (scan["type"], len(scan["enums"]), scan["enums"][int(scan["value"])]) != ("enum", 10, expected_scan):
            wrong.append((name, "SCAN", scan, expected_scan))
        if not fields[f"{name}.DESC"]["value"]:
            wrong.append((name, "DESC", "", "a description"))
    assert not wrong


OURS = {
    "det1:ImageMode": "boots as Multiple, which is what it does",
    "det1:ImageMode_RBV": "the same",
    "det1:SerialNumber_RBV": "the real one",
    "det1:SDKVersion_RBV": "the real one",
    "det1:FirmwareVersion_RBV": "the real one",
    "det1:DriverVersion_RBV": "the real one",
    "det1:Model_RBV": "says that it is emulated",
    "det1:DataType": "true",
    "det1:DataType_RBV": "true",
    "det1:CONFIG_PATH": "the site's",
    "det1:CONFIG_PATH_RBV": "the site's",
    "C{chan}:EventWidth": "the calibration's",
    "MCA{chan}ROI:{roi}:MaxSizeX_RBV": "true before the first frame",
    "MCA{chan}ROI:{roi}:MaxSizeY_RBV": "the same",
    "HDF1:PluginType_RBV": "the libhdf5 in use",
    "HDF1:Compression": "BSLZ4: seven times as fast as zlib",
    "HDF1:Compression_RBV": "the same",
    "HDF1:DriverVersion_RBV": "the real one",
    **{f"HDF1:ArraySize{which}_RBV": "known before the first frame" for which in ("0", "1", "X", "Y", "")},
    "HDF1:NDimensions_RBV": "known before the first frame",
    "HDF1:DataType_RBV": "true",
    "det1:TemperatureActual": "the warmest board's",
    "det1:NumExposures_RBV": "follows",
    **{f"det1:{which}_RBV": "what it must be" for which in ("BinX", "BinY", "SizeX", "SizeY")},
    "det1:ArraySize0_RBV": "known before the first frame",
    "det1:ArraySize1_RBV": "known before the first frame",
    "det1:NDimensions_RBV": "known before the first frame",
    "det1:ArraySize_RBV": "of UInt32",
    "det1:PoolMaxMem": "the configuration's",
    "det1:PoolUsedMem": "true",
    "det1:PoolAllocBuffers": "true",
    "det1:PoolFreeBuffers": "true",
    "det1:C{chan}_DTC_FLAGS_RBV": "the calibration's",
    **{f"det1:C{{chan}}_DTC_{name}_RBV": "the calibration's" for name in ("AEG", "AEO", "IWG", "IWO")},
    **{
        f"det1:C{{chan}}_SCA{name}{end}": "the calibration's"
        for name in ("4_THRESHOLD", "5_LLM", "5_HLM", "6_LLM", "6_HLM")
        for end in ("", "_RBV")
    },
}
"""Where our first values differ from the reference's, and why."""


def first(line, chan, k):
    """The value that the catalogue promises; None if it promises none."""
    text = line["default"]
    kind = field(line, "FTVL") or TYPES[line["record_type"]]
    if '" for ' in text:
        choices = re.findall(r'"([^"]*)"(?: for sca)? (\d+)(?:-(\d+))?', text)
        text = next(f'"{name}"' for name, low, high in choices if int(low) <= k <= int(high or low))
    text = text.replace("{chan}", str(chan)).replace("{sca}", str(k)).replace("{roi}", str(k))
    if kind == "CHAR" or kind == "string":
        return text.strip('"')
    if text.startswith("["):
        return None
    if text.endswith("-1") and text[:-2].isdigit():
        return float(text[:-2]) - 1
    return float(text or 0)


def test_first_values(seen):
    wrong = []
    for line in lines():
        if line["pv"] in OURS:
            continue
        for name, chan, k in instances(line):
            expected, value = first(line, chan, k), seen[name]["value"]
            if expected is None:
                continue
            if field(line, "FTVL") == "CHAR":
                value = bytes(value if isinstance(value, list) else [value]).split(b"\0")[0].decode()
            if value != expected:
                wrong.append((line["pv"], value, expected))
    assert not sorted(set(wrong))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory(server, seen):
    """All records made, and nothing acquired yet."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    assert int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) < 400_000
