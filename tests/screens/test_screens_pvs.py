"""Every PV of the screens is there, for every channel, and is what its widget takes it for."""

import time

import pytest
from ca_processes import Client
from screens_files import ARROW, FILES, font, load, places, pvs, substituted, text_width
from server_process import ServerProcess

from xsp3ioc.records import all_records
from xsp3ioc.stream.declared import Declared
from xsp3ioc.stream.parameter import parameters

CHANNELS = 16
PATIENCE = 10
"""Seconds in which at least one more PV is found, if there are more."""
LOCAL = "loc://"
STRING_FORMAT = "6"


def describe(names):
    """Type, count, right to write, and states of those PVs that are found."""
    from epics import ca, dbr

    chids = {name: ca.create_channel(name, connect=False, auto_cb=False) for name in names}
    found, since = 0, time.monotonic()
    while found < len(chids) and time.monotonic() < since + PATIENCE:
        ca.poll(0.05, 0.1)
        if (now := sum(map(ca.isConnected, chids.values()))) > found:
            found, since = now, time.monotonic()
    there = {name: chid for name, chid in chids.items() if ca.isConnected(chid)}
    choices = {name: chid for name, chid in there.items() if ca.field_type(chid) == dbr.ENUM}
    for chid in choices.values():
        ca.get_with_metadata(chid, ftype=dbr.CTRL_ENUM, wait=False)

    def states(chid):
        return ca.get_complete_with_metadata(chid, ftype=dbr.CTRL_ENUM, timeout=60)["enum_strs"]

    return {
        name: (
            dbr.Name(ca.field_type(chid)),
            ca.element_count(chid),
            bool(ca.write_access(chid)),
            states(chid) if name in choices else (),
        )
        for name, chid in there.items()
    }


def for_channels(pv):
    """A PV's name for each channel, without prefix; R is `det1:`."""
    pv = substituted(pv, P="", R="det1:")
    return {substituted(pv, CHAN=str(channel)) for channel in range(1, CHANNELS + 1)}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with as many channels as there can be."""
    detector = {"emulate": True, "channels": CHANNELS, "cards": 2}
    server = ServerProcess(tmp_path_factory.mktemp("server"), detector=detector, server={"connect": False})
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def served(server):
    """What libca says of every PV: (type, count, writable, states) by its name without prefix."""
    named = set().union(*(pvs(load(path)) for path in FILES))
    names = set().union(*(for_channels(pv) for pv in named if not pv.startswith(LOCAL)))
    found = Client(server.environment, describe, [server.prefix + name for name in sorted(names)]).result()
    return {name: found.get(server.prefix + name) for name in names}


def test_every_pv_is_there_for_every_channel(served):
    assert len(served) > 10_000
    assert [name for name, described in served.items() if described is None] == []


def test_nothing_on_the_screens_is_dead():
    dead = {record.name for record in all_records(parameters(Declared).values(), 1, "$(P)", "$(R)") if record.plain}
    named = set().union(*(pvs(load(path)) for path in FILES))
    assert sorted(pv for pv in named if substituted(pv, CHAN="1") in dead) == []


@pytest.fixture
def described(served):
    """What libca says of a PV as a screen names it; None of a local one."""
    return lambda pv: None if pv.startswith(LOCAL) else served[substituted(pv, P="", R="det1:", CHAN="1")]


every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


@every_file
def test_what_is_set_can_be_set(path, described):
    for place in places(load(path)):
        written = [place.pv] if place.kind in ("textentry", "combo", "choice", "spinner") else []
        actions = place.element.iterfind("actions/action[@type='write_pv']")
        written += [action.findtext("pv_name") for action in actions]
        for pv in written:
            kind = described(pv)
            assert kind is None or kind[2], f"{place}: {pv} is read-only"


@every_file
def test_menus_have_states_that_fit(path, described):
    for place in places(load(path)):
        if place.kind in ("combo", "textupdate") and (kind := described(place.pv)):
            name, _, _, states = kind
            assert name == "ENUM" or place.kind != "combo", place
            room = place.box[2] - (ARROW if place.kind == "combo" else 4)
            for state in states:
                assert text_width(state, *font(place.element)) <= room, f"{place}: {state!r}"


@every_file
def test_texts_are_shown_as_texts(path, described):
    for place in places(load(path)):
        if place.kind in ("textentry", "textupdate") and (kind := described(place.pv)):
            as_text = place.element.findtext("format") == STRING_FORMAT
            if kind[0] in ("CHAR", "STRING"):
                assert as_text, f"{place} shows {kind[0]} as numbers"
            elif kind[0] != "ENUM":
                assert not as_text, f"{place} shows {kind[0]} as a text"


@every_file
def test_curves_are_arrays(path, described):
    for trace in load(path).iter("trace"):
        for tag in ("x_pv", "y_pv"):
            if pv := trace.findtext(tag):
                name, count, _, _ = described(pv)
                assert (name, count > 1) == ("DOUBLE", True), pv
