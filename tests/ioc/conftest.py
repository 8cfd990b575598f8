"""A server process with a free port and a random prefix, and libca clients in processes of their own."""

from __future__ import annotations

import pytest
from ca_processes import Client, Toy


@pytest.fixture
def toy():
    toy = Toy()
    yield toy
    code, errors = toy.stop()
    assert code == 0, errors
    assert "Traceback" not in errors


@pytest.fixture
def libca(toy):
    """Run a function in a client process and return its result."""
    clients = []

    def run(function, *arguments):
        client = Client(toy.environment, function, *arguments)
        clients.append(client)
        return client.result()

    yield run
    for client in clients:
        client.end()
