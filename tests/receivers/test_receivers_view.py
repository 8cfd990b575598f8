"""`xsp3-view` at a real server: pictures, terminal, nobody there, a server that goes and comes back."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import matplotlib.image
import numpy as np
import pytest
import zmq
from server_process import ServerProcess, free_port
from system_rig import Rig

from xsp3ioc.receivers.drawing import new_figure
from xsp3ioc.receivers.monitor import Monitor, address
from xsp3ioc.receivers.view import main
from xsp3ioc.receivers.view_data import fetch, summed
from xsp3ioc.receivers.view_figure import SIZE, Picture
from xsp3ioc.receivers.view_watcher import View, Watcher
from xsp3ioc.receivers.view_window import Window

WHITE = 0.999


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    rig = Rig(tmp_path_factory.mktemp("view"))
    yield rig
    assert rig.end() == 0


@pytest.fixture
def start_view(tmp_path):
    """Start `xsp3-view`; all end with the test."""
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "xsp3ioc.receivers.view", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env=os.environ | {"COLUMNS": "120", "MPLBACKEND": ""},
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def view(capsys, *arguments):
    """Exit code, what was printed, and the complaints."""
    code = main([*map(str, arguments)])
    return code, *capsys.readouterr()


def ink(path, colour=None):
    """Part of the pixels of the axes of a picture that is not white, or is of a colour."""
    picture = matplotlib.image.imread(path)[:, :, :3]
    height, width, _ = picture.shape
    axes = picture[int(0.13 * height) : int(0.87 * height), int(0.08 * width) : int(0.69 * width)]
    found = (axes < WHITE).any(axis=2) if colour is None else (abs(axes - colour) < 0.02).all(axis=2)
    return found.mean()


def snapshot_of(rig):
    with Monitor(rig.server.monitor) as monitor:
        return fetch(monitor)


def test_before_the_first_frame(rig, tmp_path, capsys):
    path = tmp_path / "spectrum.png"
    assert view(capsys, "--connect", rig.server.monitor, "--once", "--output", path) == (0, "", "")
    assert 0.002 < ink(path) < 0.1  # "no frame yet", and a grid
    code, text, _ = view(capsys, "--connect", rig.server.monitor, "--once", "--text")
    assert code == 0
    assert "no frame yet" in text
    assert "emulated" in text
    assert "nan" not in text


def test_a_terminal_that_knows_ascii_only(rig):
    done = subprocess.run(
        [sys.executable, "-m", "xsp3ioc.receivers.view", "--connect", rig.server.monitor, "--once", "--text"],
        capture_output=True, timeout=60, env=os.environ | {"COLUMNS": "120", "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert "acquired" in done.stdout.decode("ascii")


def test_spectra_are_in_the_picture(rig, tmp_path, capsys):
    rig.ca.set(MCA1ROI__1__Name="$Mn_^", MCA1ROI__1__MinX=570, MCA1ROI__1__SizeX=40)
    path = rig.capture("view", 0)
    rig.acquire(20, 0.05)
    blank = tmp_path / "blank.png"
    picture = Picture(new_figure(figsize=SIZE))
    picture.save(blank, "png")
    for number, options in enumerate(([], ["--linear"], ["--total"], ["--total", "--linear"])):
        png = tmp_path / f"{number}.png"
        assert view(capsys, "--connect", rig.server.monitor, "-o", png, *options) == (0, "", "")
        assert ink(png) > ink(blank) + 0.01
        # The sum, and the first channel.
        assert ink(png, (0.1, 0.1, 0.1)) > 0.001
        assert ink(png, (0x1F / 255, 0x77 / 255, 0xB4 / 255)) > 0.0001
    assert view(capsys, "--connect", rig.server.monitor, "-o", tmp_path / "x.svg") == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "0.png", "1.png", "2.png", "3.png", "blank.png", "x.svg"
    ]  # fmt: skip
    code, text, _ = view(capsys, "--connect", rig.server.monitor, "--once", "--text")
    for said in (path, "20 of 20", "$Mn_^", "570..609", "frame 19 of series", "dead time", "headroom", "█"):
        assert said in text.replace("\n", "")
    rig.ca.set(HDF1__Capture=0)
    rig.ca.put_status("capture")


def test_numbers_are_those_of_the_frame(rig):
    snapshot = snapshot_of(rig)
    assert snapshot.has_frame
    assert snapshot.total_frames == 20
    shown = {channel: rig.ca.get(f"C{channel}:ICR_RBV") for channel in (1, 4)}
    assert snapshot.rates.input_rate[0] == pytest.approx(shown[1])
    assert snapshot.rates.input_rate[3] == pytest.approx(shown[4])
    assert snapshot.roi_totals[0] == snapshot.spectra[0, 570:610].sum()


def test_energies_follow_the_calibration(rig):
    rig.ca.set(C1__EnergyOffset=-50, C2__EnergySlope=12.5)
    try:
        snapshot = snapshot_of(rig)
        energies = snapshot.energies()
        assert energies[0, [0, 100]] == pytest.approx([-0.05, 0.95])
        assert energies[1, 100] == pytest.approx(1.25)
        assert snapshot.regions() == [("$Mn_^", pytest.approx(5.645), pytest.approx(6.045))]
        total = summed(snapshot.spectra, energies, [True] * 4)
        # Nothing is lost but what lies beyond the energies of channel 1.
        assert total.sum() <= snapshot.spectra.sum()
        assert total.sum() == pytest.approx(snapshot.spectra.sum(), rel=0.01)
        only = summed(snapshot.spectra, energies, [True, False, False, False])
        np.testing.assert_array_equal(only, snapshot.spectra[0])
    finally:
        rig.ca.set(C1__EnergyOffset=0, C2__EnergySlope=10)


class Canned:
    """Stands for a watcher whose view is set by hand."""

    def __init__(self, view):
        self.view = view


def test_a_window_does_not_grow(rig):
    snapshot = snapshot_of(rig)
    watcher = Canned(View(rig.server.monitor, snapshot))
    figure = new_figure(figsize=SIZE)
    window = Window(figure, watcher, True, False)

    def refresh():
        for trouble in ("", "nobody answers"):
            watcher.view = View(rig.server.monitor, snapshot, trouble, 3.0)
            window.refresh()  # without a window it is drawn at once

    def artists():
        return len(figure.findobj())

    def objects():
        gc.collect()
        return len(gc.get_objects())

    for _ in range(3):
        refresh()
    before, drawn = artists(), len(figure.axes[0].get_children()) + len(figure.texts)
    kept = objects()
    for _ in range(8):
        refresh()
    assert artists() == before
    assert objects() - kept < 100
    # What a person does changes what is drawn, not how much.
    axes = figure.axes[0]
    scales = []
    for key in ("l", "T", "a", "x", None, "L"):
        window.press(key)
        scales.append(axes.get_yscale())
    assert scales == ["linear"] * 5 + ["log"]
    assert window.picture.accumulated
    axes.set_xlim(5, 6)  # somebody looks more closely
    refresh()
    assert axes.get_xlim() == (5, 6)
    window.press("a")
    assert axes.get_xlim() != (5, 6)
    assert len(axes.get_children()) + len(figure.texts) == drawn


def test_nobody_there(capsys, tmp_path):
    place = f"127.0.0.1:{free_port()}"
    for options in (["--text", "--once"], ["--output", tmp_path / "x.png"]):
        code, out, error = view(capsys, "--connect", place, *options)
        assert (code, out) == (1, "")
        assert error.startswith(f"xsp3-view: nobody answers at tcp://{place}. ")
        assert len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--once"], "--output PICTURE, or --text"),
        (["--output", "x.tiff"], ".png, .svg, .pdf"),
        (["--output", "x.png", "--text"], "one of them"),
        (["--interval", "0"], "0.05 or more"),
        (["--interval", "nan"], "0.05 or more"),
        (["--connect", "host:port", "--text"], "not an address like tcp://127.0.0.1:9998"),
        (["--connect", "tcp://host", "--text"], "not an address like tcp://127.0.0.1:9998"),
        (["--connect", "", "--text"], "an address is like tcp://127.0.0.1:9998"),
    ],
    ids=range(8),
)
def test_wrong_arguments_are_named(arguments, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_addresses():
    assert address("b316a") == "tcp://b316a:9998"
    assert address("10.1.2.3:7") == "tcp://10.1.2.3:7"
    assert address("ipc:///tmp/x") == "ipc:///tmp/x"


def test_a_picture_that_cannot_be_written(rig, capsys, tmp_path):
    code, out, error = view(capsys, "--connect", rig.server.monitor, "-o", tmp_path / "no" / "x.png")
    assert (code, out, error) == (1, "", f"xsp3-view: {tmp_path}/no/x.png: no such file or directory\n")


@pytest.mark.parametrize(
    "answer",
    [[b"x"], [b"{}"], [b'{"htype": "status"}'], [b'{"htype": "image", "shape": [4, 4096]}', b""], [b"[" * 5000]],
    ids=range(5),
)
def test_one_who_answers_otherwise(answer, capsys):
    context = zmq.Context()
    server = context.socket(zmq.REP)
    port = server.bind_to_random_port("tcp://127.0.0.1")

    def serve():
        server.recv()
        server.send_multipart(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    code, _, error = view(capsys, "--connect", f"127.0.0.1:{port}", "--text", "--once")
    thread.join(10)
    context.destroy()
    assert (code, len(error.splitlines())) == (1, 1)
    assert "answers, but not as a server of this version does" in error


def replaced(rig, request, change):
    """Ask for a snapshot where one answer has been changed."""

    class Between(Monitor):
        def ask(self, word, timeout=1.5):
            head, *arrays = super().ask(word, timeout)
            return [json.dumps(json.loads(head) | change).encode() if word == request else head, *arrays]

    with Between(rig.server.monitor) as monitor:
        return fetch(monitor)


@pytest.mark.parametrize(
    ("request_", "change"),
    [
        ("image", {"shape": [8, 2048]}), ("image", {"shape": [2**63, 2]}), ("image", {"shape": [-4, -4096]}),
        ("image", {"type": "object"}), ("sum", {"type": "uint32"}), ("status", {"channels": 0}),
        ("status", {"energy_slope": [0.0] * 4}), ("status", {"energy_slope": [10.0]}), ("roi", {"rois": []}),
        ("roi", {"rois": [[9, "x", 1, 1]]}), ("scalers", {"dead_time": [None] * 4}),
    ],
    ids=range(11),
)  # fmt: skip
def test_nothing_is_believed_that_cannot_be(rig, request_, change):
    with pytest.raises(ValueError, match="not as a server of this version does"):
        replaced(rig, request_, change)


def await_line(process, text, seconds=30):
    deadline = time.monotonic() + seconds
    for line in process.stdout:
        if text in line:
            return line
        assert time.monotonic() < deadline, text
    raise AssertionError(f"ended: {process.stderr.read()}")


def test_a_server_that_goes_and_comes_back(tmp_path, start_view):
    port = free_port()
    shown = start_view("--connect", f"127.0.0.1:{port}", "--text", "--interval", "0.1")
    assert f"nobody answers at tcp://127.0.0.1:{port}, asking again" in await_line(shown, "nobody")
    tables = {"server": {"monitor_port": port}, "emulator": {}}
    first = ServerProcess(tmp_path, **tables)
    try:
        await_line(shown, "emulated): idle")
    finally:
        first.stop(signal.SIGKILL)
    assert "shown is what was at" in await_line(shown, "nobody answers")
    # As another one: with more channels.
    again = ServerProcess(
        tmp_path, **tables | {"server": {"monitor_port": port}, "detector": {"emulate": True, "channels": 6}}
    )
    try:
        await_line(shown, "emulated): idle")
        await_line(shown, " 6 ")
        shown.send_signal(signal.SIGINT)
        shown.stdout.read()
        assert shown.wait(10) == 0
        assert shown.stderr.read() == ""
    finally:
        again.stop()


def test_a_picture_follows_another_server(rig, start_server):
    other = start_server(detector={"emulate": True, "channels": 12, "cards": 2})
    figure = new_figure(figsize=SIZE)
    picture = Picture(figure)
    picture.show(View(rig.server.monitor, trouble="nobody answers"))
    figure.canvas.draw()
    picture.show(View(rig.server.monitor, snapshot_of(rig)))
    figure.canvas.draw()
    assert len(figure.axes[0].lines) == 5
    watcher = Watcher(other.monitor, 0.05)
    deadline = time.monotonic() + 20
    while watcher.view.snapshot is None and time.monotonic() < deadline:
        time.sleep(0.02)
    watcher.stop()
    picture.show(watcher.view)
    figure.canvas.draw()
    assert len(figure.axes[0].lines) == 13


def test_without_a_display(start_view, rig):
    environment = {name: os.environ.pop(name, None) for name in ("DISPLAY", "WAYLAND_DISPLAY")}
    try:
        _, error = start_view("--connect", rig.server.monitor).communicate(timeout=60)
    finally:
        os.environ.update({name: value for name, value in environment.items() if value is not None})
    assert len(error.splitlines()) == 1
    assert "no window can be opened" in error
    assert "--text" in error


@pytest.mark.skipif(not shutil.which("Xvfb"), reason="no virtual display")
def test_a_window(rig, tmp_path):
    pytest.importorskip("tkinter")
    read, write = os.pipe()
    display = subprocess.Popen(
        [
            "Xvfb", "-displayfd", str(write), "-screen", "0", "1400x900x24", "-nolisten", "tcp",
            "-fbdir", str(tmp_path),
        ],
        pass_fds=[write], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        window = subprocess.Popen(
            [sys.executable, "-m", "xsp3ioc.receivers.view", "--connect", rig.server.monitor],
            stderr=subprocess.PIPE, text=True, env=os.environ | {"DISPLAY": f":{number}", "MPLBACKEND": ""},
        )  # fmt: skip
        # The display begins black; the window is white for the most part, with some in the colour of channel 1.
        screen, deadline = tmp_path / "Xvfb_screen0", time.monotonic() + 60
        while time.monotonic() < deadline and window.poll() is None:
            pixels = screen.read_bytes()
            if pixels.count(b"\xff\xff\xff") > 300_000 and b"\xb4\x77\x1f" in pixels:
                break
            time.sleep(0.1)
        else:
            pytest.fail("no spectra are on the screen")
        window.send_signal(signal.SIGINT)
        _, error = window.communicate(timeout=20)
        assert (window.returncode, error) == (0, "")
    finally:
        display.kill()
        display.wait()
