"""A client that knows the server's address asks there, without datagrams."""

from __future__ import annotations

from ca_clients import found, pvs
from ca_processes import Client


def ask(prefix, names):
    return found(prefix, names), pvs(prefix, next(iter(names))).get()


def test_a_name_server(toy):
    environment = {
        "EPICS_CA_NAME_SERVERS": f"127.0.0.1:{toy.tcp_port}",
        "EPICS_CA_ADDR_LIST": "",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
    }
    names = {"det1:NumImages": True, "MCA1:ArrayData": True, "det1:NotThere": False}
    seen = Client(environment, ask, toy.prefix, names).result()
    assert seen == (list(names.values()), 16)
