"""Monitors: every edge of every scalar, in order; one bad client is its own affair."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import statistics
import struct
import time

import numpy as np
import pytest
from ca_clients import ECA_NORMAL, TIMEOUT, Put, pvs, wait_until
from ca_processes import Client, Toy
from server_process import free_port


def without_first(values):
    """Without the value at the time of subscribing, 0, which may come before or after the callback is there."""
    return values[1:] if values[0] == 0 else values


def hear_edges(prefix, pairs, rounds):
    acquire, flicker, counter = pvs(prefix, "det1:Acquire_RBV", "det1:Flicker", "det1:Counter")
    edges, counts, stamps = [], [], []

    def hear(value, timestamp, **_):
        edges.append(value)
        stamps.append(timestamp)

    acquire.add_callback(hear)
    counter.add_callback(lambda value, **_: counts.append(value))
    for _ in range(rounds):
        assert Put(flicker, pairs).wait() == ECA_NORMAL
    return without_first(edges), without_first(counts), stamps


def test_both_edges_of_every_short_run_arrive(toy, libca):
    edges, counts, stamps = libca(hear_edges, toy.prefix, 200, 3)
    assert edges == 600 * [1, 0]
    assert counts == 3 * list(range(1, 201))
    assert stamps == sorted(stamps)


def hear_spectra(prefix, count):
    first, second, trigger = pvs(prefix, "MCA1:ArrayData", "MCA2:ArrayData", "det1:Spectra")
    heard = []

    def hear(value, **_):
        if heard or len(value):  # on a busy host the spectrum of no bins, before the first one, comes only now
            heard.append((len(value), float(value[:1].sum()), float(value[-1:].sum())))

    first.add_callback(hear)
    Put(trigger, count).wait()
    wait_until(lambda: heard and heard[-1][1] == count, "the last spectrum")
    wait_until(lambda: np.sum(second.get()) == count * 4096.0, "that of the other channel")
    return heard, float(np.sum(second.get(use_monitor=False)))


def test_spectra_are_whole_and_the_last_one_arrives(toy, libca):
    heard, total = libca(hear_spectra, toy.prefix, 500)
    assert all(size == 4096 and first == last for size, first, last in heard)
    numbers = [first for _, first, _ in heard]
    assert numbers == sorted(numbers)
    assert total == 500 * 4096.0


def subscribe_and_wait(prefix, pipe_name):
    heard = []
    found = pvs(prefix, "MCA1:ArrayData", "MCA2:ArrayData", "det1:Counter", "det1:Acquire_RBV")
    for pv in found:
        pv.add_callback(lambda **_: heard.append(1))
    with open(pipe_name, "w") as file:
        file.write("ready")
    counter = found[2]
    wait_until(lambda: counter.get() == 4321, "the last count")
    return True


def work_beside(prefix, rounds):
    acquire, flicker, spectra, frames = pvs(
        prefix, "det1:Acquire_RBV", "det1:Flicker", "det1:Spectra", "det1:NumImages"
    )
    edges, gets = [], []
    acquire.add_callback(lambda value, **_: edges.append(value))
    for _ in range(rounds):
        Put(spectra, 100).wait()
        Put(flicker, 100).wait()
        start = time.perf_counter()
        frames.get(use_monitor=False)
        gets.append(time.perf_counter() - start)
    return without_first(edges), statistics.median(gets)


def finish(prefix):
    return Put(pvs(prefix, "det1:Flicker"), 4321).wait()


def test_a_stopped_client_slows_nobody_and_goes_on_later(toy, libca, tmp_path):
    flag = tmp_path / "ready"
    os.mkfifo(flag)
    stopped = Client(toy.environment, subscribe_and_wait, toy.prefix, str(flag))
    assert flag.read_text() == "ready"
    os.kill(stopped.process.pid, signal.SIGSTOP)
    try:
        # Far more than the sockets hold: 2 x 3000 spectra of 32 kB.
        edges, get = libca(work_beside, toy.prefix, 30)
        assert edges == 30 * 100 * [1, 0]
        assert get < 1
        assert libca(finish, toy.prefix) == ECA_NORMAL
    finally:
        os.kill(stopped.process.pid, signal.SIGCONT)
    # It is late, but it was not thrown out, and it hears how things are now.
    assert stopped.result()


def cancel(prefix):
    import epics

    counter, flicker = pvs(prefix, "det1:Counter", "det1:Flicker")
    heard = []
    for number in range(20):
        counter.clear_callbacks()
        counter.disconnect()
        counter = epics.PV(prefix + "det1:Counter", callback=lambda value, **_: heard.append(value))
        assert counter.wait_for_connection(TIMEOUT)
        Put(flicker, number + 1)
    return True


def test_subscriptions_that_end_while_updates_wait(toy, libca):
    assert libca(cancel, toy.prefix)
    assert libca(finish, toy.prefix) == ECA_NORMAL


GARBAGE = {
    "noise": random.Random(1).randbytes(10_000),
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "endless": struct.pack(">HHHHIIII", 4, 0xFFFF, 6, 0, 0, 0, 0xFFFFFFFF, 1) + bytes(100),
    "unknown channel": struct.pack(">HHHHII", 4, 8, 6, 1, 77, 0) + bytes(8),
    "unknown type": struct.pack(">HHHHII", 4, 8, 99, 1, 77, 0) + bytes(8),
    "unknown subscription": struct.pack(">HHHHII", 2, 0, 6, 1, 1, 5),
    "nothing": b"",
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_harms_nobody(toy, libca, kind):
    with socket.create_connection(("127.0.0.1", toy.tcp_port)) as sock:
        sock.settimeout(60)
        sock.sendall(GARBAGE[kind])
        if kind == "nothing":
            sock.shutdown(socket.SHUT_WR)
        # The server closes it, or waits for the rest of what could be a long request.
        sock.settimeout(0.2)
        with contextlib.suppress(ConnectionResetError, TimeoutError):
            while sock.recv(4096):
                pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(GARBAGE[kind], ("127.0.0.1", toy.search_port))
    assert libca(finish, toy.prefix) == ECA_NORMAL


def test_a_client_that_is_gone_without_a_word_is_no_stranger():
    """As the kernel ends the connections of a process that did not read what it was sent: with a reset."""
    toy = Toy()
    with socket.create_connection(("127.0.0.1", toy.tcp_port)) as sock:
        sock.settimeout(60)
        sock.sendall(struct.pack(">HHHHII", 0, 0, 0, 13, 0, 0))
        assert sock.recv(16)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    code, errors = toy.stop()
    assert (code, "not a Channel Access client" in errors) == (0, False)


def test_writes_that_no_library_would_send(toy):
    """On one connection: all are answered, and it lives."""
    with socket.create_connection(("127.0.0.1", toy.tcp_port)) as sock:
        sock.settimeout(60)
        file = sock.makefile("rb")

        def send(command, payload=b"", kind=0, count=0, first=0, second=0):
            payload = payload.ljust(-(-len(payload) // 8) * 8, b"\0")
            sock.sendall(struct.pack(">HHHHII", command, len(payload), kind, count, first, second) + payload)

        def hear(wanted):
            while True:
                command, size, kind, count, first, second = struct.unpack(">HHHHII", file.read(16))
                payload = file.read(size)
                if command == wanted:
                    return first, second, payload

        send(0, kind=0, count=13)
        send(18, (toy.prefix + "det1:NumImages").encode() + b"\0", first=1, second=13)
        _, frames, _ = hear(18)
        send(18, (toy.prefix + "det1:Counter").encode() + b"\0", first=2, second=13)
        _, counter, _ = hear(18)
        # write-notify: status and id come back
        send(19, struct.pack(">dd", 1, 2), 6, 2, frames, 100)
        assert hear(19)[:2] == (160, 100)
        send(19, b"", 6, 0, frames, 101)
        assert hear(19)[:2] == (160, 101)
        send(19, struct.pack(">d", 5), 6, 1, counter, 102)
        assert hear(19)[:2] == (376, 102)
        send(19, bytes(8), 35, 1, frames, 103)
        assert hear(19)[:2] == (160, 103)
        # write: an error with the reason
        send(4, struct.pack(">d", 5), 6, 1, counter, 104)
        _, status, payload = hear(11)
        assert (status, b"read-only" in payload) == (376, True)
        send(19, struct.pack(">d", 5), 6, 1, frames, 105)
        assert hear(19)[:2] == (1, 105)


def find_both(prefixes):
    return [pvs(prefix, "det1:NumImages").get() for prefix in prefixes]


def test_two_servers_on_one_search_port_are_both_found():
    port = free_port()
    servers = [Toy(port=port), Toy(port=port)]
    try:
        assert servers[0].tcp_port == port != servers[1].tcp_port
        environment = servers[0].environment | {"EPICS_CA_ADDR_LIST": "127.255.255.255"}
        client = Client(environment, find_both, [server.prefix for server in servers])
        assert client.result() == [16, 16]
    finally:
        for server in servers:
            assert server.stop()[0] == 0


def test_a_server_on_all_addresses():
    server = Toy(listen="0.0.0.0")
    try:
        environment = server.environment | {"EPICS_CA_ADDR_LIST": "127.255.255.255"}
        assert Client(environment, find_both, [server.prefix]).result() == [16]
    finally:
        assert server.stop() == (0, "")


def test_an_address_that_is_not_ours_is_an_error():
    with pytest.raises(RuntimeError, match="Cannot assign requested address"):
        Toy(listen="192.0.2.1")


def test_stopping_with_an_open_put_callback(toy):
    client = Client(toy.environment, start_and_report, toy.prefix)
    assert client.hear() == (True, True)
    code, errors = toy.stop()
    client.end()
    assert (code, errors) == (0, "")


def start_and_report(prefix):
    acquire, readback, exposure = pvs(prefix, "det1:Acquire", "det1:Acquire_RBV", "det1:AcquireTime")
    exposure.put(50.0, wait=True)
    Put(acquire, 1)
    wait_until(lambda: readback.get() == 1, "the start")
    return True
