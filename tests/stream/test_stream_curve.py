"""The directory with the clients' keys: what is in it counts at once, and what is no key is said once."""

from __future__ import annotations

import pytest
from zmq.auth import load_certificate

from xsp3ioc.receivers.keys import make_keys
from xsp3ioc.stream.curve import Curve


@pytest.fixture
def clients(tmp_path):
    make_keys(tmp_path, "server")
    directory = tmp_path / "clients"
    directory.mkdir()
    return directory


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_file_that_is_no_key_is_said_once_and_keeps_nobody_out(clients, caplog):
    curve = Curve(str(clients.parent / "server.key_secret"), str(clients))
    make_keys(clients, "map")
    key = load_certificate(clients / "map.key")[0]
    broken = clients / "a broken one.key"
    broken.write_text("no key")
    for _ in range(3):
        assert curve.name(key) == "map"
        assert curve.name(b"x" * 40) is None
    (told,) = warnings(caplog)
    assert told.startswith(f"{broken} lets nobody in: ")
    # Mended, and broken again.
    broken.write_text((clients / "map.key").read_text())
    assert curve.name(key) == "a broken one"
    broken.write_text("no key")
    assert curve.name(key) == "map"
    assert len(warnings(caplog)) == 2


def test_what_the_server_itself_cannot_use_is_named(clients):
    secret = clients.parent / "server.key_secret"
    for key, directory, wrong in (
        (clients.parent / "nobody", clients, "curve_key: .*nobody"),
        (clients.parent / "server.key", clients, "has no secret key: it is the file that ends with .key_secret"),
        (secret, clients / "elsewhere", "curve_clients: .*elsewhere is no directory with public keys"),
        (secret, "", "curve_key and curve_clients: set both"),
    ):
        with pytest.raises(OSError, match=wrong):
            Curve(str(key), str(directory))
