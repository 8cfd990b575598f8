"""A client that knows the server's address asks there, without datagrams."""

from __future__ import annotations

from ca_processes import Client


def ask(prefix, *names):
    import epics

    found = [epics.PV(prefix + name) for name in names]
    *there, absent = found
    return [*(pv.wait_for_connection(60) for pv in there), absent.wait_for_connection(1.0)], found[0].get(timeout=60)


def test_a_name_server(toy):
    environment = {
        "EPICS_CA_NAME_SERVERS": f"127.0.0.1:{toy.tcp_port}",
        "EPICS_CA_ADDR_LIST": "",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
    }
    seen = Client(environment, ask, toy.prefix, "det1:NumImages", "MCA1:ArrayData", "det1:NotThere").result()
    assert seen == ([True, True, False], 16)
