"""Keys that are made, and those that a server cannot use."""

import pytest
from cli_command import refused, xsp3ioc
from server_process import free_port

from xsp3ioc.receivers.keys import make_keys


def test_keys_are_made_and_not_made_twice(tmp_path):
    made = xsp3ioc("keys", "map", cwd=tmp_path)
    assert made.returncode == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["map.key", "map.key_secret"]
    assert (tmp_path / "map.key_secret").stat().st_mode & 0o077 == 0
    again = xsp3ioc("keys", "map", cwd=tmp_path)
    assert again.returncode == 1
    assert "map.key exists" in again.stderr
    assert xsp3ioc("keys", "../map", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize(
    ("key", "clients", "named"),
    [
        ("server/server.key", "clients", "has no secret key"),
        ("server/none.key_secret", "clients", "curve_key: "),
        ("server/server.key_secret", "nowhere", "is no directory with public keys"),
    ],
)
def test_keys_that_a_server_cannot_use(tmp_path, key, clients, named):
    for directory in ("server", "clients"):
        (tmp_path / directory).mkdir()
    make_keys(tmp_path / "server", "server")
    config = tmp_path / "my.toml"
    config.write_text(f"[server]\ncurve_key = '{tmp_path / key}'\ncurve_clients = '{tmp_path / clients}'\n")
    ports = ("--ca-port", free_port(), "--data-port", 0, "--monitor-port", 0)
    assert named in refused(xsp3ioc("--emulate", "--config", config, *ports, cwd=tmp_path))
