"""A vendor library that lacks functions: the server runs and says what is missing, and what cannot be done."""

import json
import subprocess
import sys
import time

from xsp3ioc.receivers.monitor import ask

SOURCE = """
int xsp3_config(int cards, int tf, char *ip, int port, char *mac, int chan, int create, char *name, int debug, int card)
{ return 0; }
int xsp3_close(int path) { return 0; }
int xsp3_get_num_chan(int path) { return 4; }
int xsp3_get_num_cards(int path) { return 1; }
"""


def status_with(monitor, text, seconds=10.0):
    deadline = time.monotonic() + seconds
    while True:
        status = json.loads(bytes(ask(monitor, "status", 5)[0]))
        if text in status["status_message"]:
            return status
        assert time.monotonic() < deadline, status["status_message"]
        time.sleep(0.05)


def test_a_library_without_a_needed_function(start_server, tmp_path):
    (tmp_path / "old.c").write_text(SOURCE)
    library = tmp_path / "libxspress3.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "old.c"], check=True)
    server = start_server(detector={"library": str(library)})
    status = status_with(server.monitor, "xsp3_get_generation")
    assert not status["connected"]
    assert "does not have this function" in status["status_message"]
    # The hardware can be opened once: a second server on the same library is told who has it.
    config = tmp_path / "second.toml"
    config.write_text(f'[server]\ndata_port = 0\nmonitor_port = 0\n[detector]\nlibrary = "{library}"\n')
    second = subprocess.run(
        [sys.executable, "-m", "xsp3ioc", "--config", config], capture_output=True, text=True, timeout=30, check=False
    )
    assert second.returncode == 2
    assert "Another server uses" in second.stderr
    assert second.stderr.count("\n") == 1
    assert server.stop() == 0
