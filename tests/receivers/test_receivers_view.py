"""`xsp3-view` at a real server: pictures, terminal, nobody there, a server that goes and comes back."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import io
import itertools
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
from matplotlib.text import Text
from msgspec import structs
from rich.console import Console
from server_process import ServerProcess, free_port
from system_rig import Rig

from xsp3ioc.receivers import monitor
from xsp3ioc.receivers.drawing import new_figure
from xsp3ioc.receivers.monitor import Monitor
from xsp3ioc.receivers.view import main
from xsp3ioc.receivers.view_data import fetch, summed
from xsp3ioc.receivers.view_figure import SIZE, Picture
from xsp3ioc.receivers.view_text import render
from xsp3ioc.receivers.view_watcher import View, Watcher
from xsp3ioc.receivers.view_window import HINT, Window
from xsp3ioc.receivers.view_words import table

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

    def start(*arguments, stdout=subprocess.PIPE, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "xsp3ioc.receivers.view", *map(str, arguments)],
            stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env=os.environ | {"COLUMNS": "120", "MPLBACKEND": ""} | environment,
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


@pytest.mark.parametrize("columns", ["0", "9"])
def test_a_terminal_of_an_unlikely_size(rig, columns):
    done = subprocess.run(
        [sys.executable, "-m", "xsp3ioc.receivers.view", "--connect", rig.server.monitor, "--once", "--text"],
        capture_output=True, text=True, timeout=60, env=os.environ | {"COLUMNS": columns, "LINES": "0"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "acquired" in done.stdout


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


def text_of(snapshot, width):
    terminal = Console(width=width, file=io.StringIO())
    terminal.print(render(View("x", snapshot), False, width))
    return terminal.file.getvalue()


@pytest.mark.parametrize("width", [9, 20, 49, 50, 65, 66, 80, 300])
def test_all_is_to_be_read_however_narrow_the_terminal_is(rig, width):
    rois = ((1, "Mn K alpha and more", 570, 40), (2, "x", 0, 4096))
    snapshot = changed(snapshot_of(rig), rois=rois, frame_rate=1_234_567.0, seconds_to_overrun=20_480.0)
    shown = text_of(snapshot, width)
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    together = "".join(shown.split())
    for name, rate, counted, dead in table(snapshot):
        assert all("".join(one.split()) in together for one in (name, rate, counted, dead))
    for said in ("570..609", "MnKalphaandmore", "1,234,567/s", "lasts5h41min"):
        # Where a column is folded, lines of its neighbours are in between.
        assert said in together or width in range(50, 66)
    assert ("logarithmic" in shown) == ("sum" in shown) == (width >= 66)


def changed(snapshot, **changes):
    """A snapshot with other values, wherever they belong."""
    if (rois := changes.get("rois")) is not None:
        changes = changes | {"rois": structs.replace(snapshot.rois, rois=[*rois]), "roi_totals": np.ones(len(rois))}
    for part in ("status", "image", "rates"):
        inner = getattr(snapshot, part)
        own = {name: changes.pop(name) for name in [*changes] if name in inner.__struct_fields__}
        snapshot = dataclasses.replace(snapshot, **{part: structs.replace(inner, **own)})
    return dataclasses.replace(snapshot, **changes)


NOTHING, MOST = np.zeros((4, 4096), np.uint32), np.full((4, 4096), 2**32 - 1, np.uint32)


@pytest.mark.parametrize(
    "odd",
    [
        {"energy_offset": [-1e6] * 4}, {"energy_offset": [1e300, 0.0, 0.0, 0.0]}, {"energy_slope": [1e-3] * 4},
        {"energy_slope": [1e-300, 1e-3, 10.0, 1e6]}, {"exposure_time": 0.0, "frame_rate": 0.0},
        {"frames_asked": -3, "frames_read": -3}, {"frames_asked": 1, "frames_read": 10**18},
        {"seconds_to_overrun": 1e300}, {"dead_time": [100.0] * 4, "input_rate": [1e300] * 4}, {"enabled": [False] * 4},
        {"rois": [(1, "beyond", 4000, 5000)]}, {"rois": [(1, "empty", 0, 0)]}, {"rois": [(1, "$\\frac{", 1, 2)]},
        {"rois": [(1 + k % 4, f"roi number {k}", 10 * k, 30) for k in range(128)]},
        {"spectra": NOTHING, "total": NOTHING}, {"total": NOTHING, "total_frames": 0}, {"spectra": MOST, "total": MOST},
        {"spectra": MOST[:, :3], "total": MOST[:, :3], "size_x": 3}, {"time": 1e300, "frame": -1},
        {"status_message": "\x1b[31m\n" * 300, "full_file_name": "/" + "x" * 4000, "model": "\u202e"},
    ],
    ids=range(20),
)  # fmt: skip
@pytest.mark.parametrize(("logarithmic", "accumulated"), [(True, False), (False, True)])
def test_odd_values(rig, odd, logarithmic, accumulated):
    usual = snapshot_of(rig)
    picture = Picture(new_figure(figsize=SIZE), logarithmic, accumulated)
    for snapshot in (changed(usual, **odd), usual):  # warnings are errors here
        picture.show(View("x", snapshot))
        picture.figure.canvas.draw()
        assert "nan" not in text_of(snapshot, 100)
    low, high = picture.figure.axes[0].get_xlim()
    assert low == 0


def drawn_texts(picture):
    """Every text that is to be seen, and its place on the figure, in dots."""
    canvas = picture.figure.canvas
    canvas.draw()
    texts = [one for one in picture.figure.findobj(Text) if one.get_text().strip() and one.get_visible()]
    return [(one.get_text(), one.get_window_extent(canvas.get_renderer())) for one in texts]


@pytest.mark.parametrize(
    ("channels", "size"), [(1, SIZE), (4, SIZE), (16, SIZE), (16, (7, 5)), (4, (20, 10))], ids=range(5)
)
def test_nothing_overlaps(rig, channels, size):
    usual = snapshot_of(rig)
    lists = ("enabled", "energy_offset", "energy_slope"), ("dead_time", "input_rate", "output_rate")
    settings, rates = (
        {name: getattr(part, name)[:1] * channels for name in names}
        for part, names in zip((usual.status, usual.rates), lists, strict=True)
    )
    snapshot = changed(
        usual, **settings, **rates, channels=channels, spectra=np.repeat(usual.spectra[:1], channels, 0),
        total=np.repeat(usual.total[:1], channels, 0), status_message="a long message " * 30,
        full_file_name="/data/visitors/" + "a_long_name/" * 30 + "scan.h5",
        rois=[(1, f"line {k}", 25 * k, 20) for k in range(100)],
    )  # fmt: skip
    picture = Picture(new_figure(figsize=SIZE), hint=HINT)
    picture.show(View("tcp://127.0.0.1:9998", snapshot))
    picture.figure.set_size_inches(size)  # as a window does that changes its size
    picture.show(View("tcp://127.0.0.1:9998", snapshot))
    texts = drawn_texts(picture)
    assert any("scan.h5" in "".join(text.split()) for text, _ in texts)
    assert any("sum of" in text for text, _ in texts) == (channels > 1)
    names = [place for text, place in texts if text.startswith("line ")]
    assert len(names) > 10
    axes = picture.figure.axes[0].get_window_extent()
    assert all(axes.x0 <= place.x0 and place.x1 <= axes.x1 for place in names)
    # The marks of the lines stand in the place that their texts leave free.
    texts = [(text, place) for text, place in texts if text != "━"]
    for (one, here), (other, there) in itertools.combinations(texts, 2):
        width = min(here.x1, there.x1) - max(here.x0, there.x0)
        height = min(here.y1, there.y1) - max(here.y0, there.y0)
        assert width < 1 or height < 4, (one, other)
    whole = picture.figure.bbox
    assert all(0 <= place.x0 and place.x1 <= whole.x1 for _, place in texts)


def test_before_there_is_a_server():
    picture = Picture(new_figure(figsize=SIZE))
    picture.show(View("x", None, "nobody answers at x", 200.0))
    texts = [text for text, _ in drawn_texts(picture)]
    assert texts == ["nobody answers at x, asking again (for 3 min 20 s)", "no server yet"]


def test_what_is_old_is_pale_and_says_of_when_it_is(rig):
    picture = Picture(new_figure(figsize=SIZE))
    snapshot = dataclasses.replace(snapshot_of(rig), at=1_700_000_000)
    for trouble in ("nobody answers", ""):
        picture.show(View("x", snapshot, trouble, 300_000.0))
        lines = picture.figure.axes[0].lines
        assert {line.get_alpha() for line in lines} == ({0.35} if trouble else {None})
        said = picture.figure.texts[0].get_text()
        assert ("for 3 days 11 h; shown is what was at 2023-11-1" in said) == bool(trouble)


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
        (["--output", ""], "'': pictures are .png, .svg, .pdf"),
    ],
    ids=range(6),
)
def test_wrong_arguments_are_named(arguments, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


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
        def ask(self, word, timeout=monitor.PATIENCE):
            head, *arrays = super().ask(word, timeout)
            return [json.dumps(json.loads(head) | change).encode() if word == request else head, *arrays]

    with Between(rig.server.monitor) as between:
        return fetch(between)


@pytest.mark.parametrize(
    ("request_", "change"),
    [
        ("image", {"shape": [8, 2048]}), ("image", {"shape": [2**63, 2]}), ("image", {"shape": [-4, -4096]}),
        ("image", {"type": "object"}), ("sum", {"type": "uint32"}), ("status", {"channels": 0}),
        ("status", {"energy_slope": [0.0] * 4}), ("status", {"energy_slope": [10.0]}), ("roi", {"rois": []}),
        ("roi", {"rois": [[9, "x", 1, 1]]}), ("scalers", {"dead_time": [None] * 4}),
        ("status", {"energy_slope": [1e308] * 4}), ("status", {"energy_slope": [-10.0] * 4}),
    ],
    ids=range(13),
)  # fmt: skip
def test_nothing_is_believed_that_cannot_be(rig, request_, change):
    with pytest.raises(ValueError, match="not as a server of this version does"):
        replaced(rig, request_, change)


def await_line(process, text, seconds=60):
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
        assert shown.wait(60) == 0
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
    deadline = time.monotonic() + 60
    while watcher.view.snapshot is None and time.monotonic() < deadline:
        time.sleep(0.02)
    watcher.stop()
    picture.show(watcher.view)
    figure.canvas.draw()
    assert len(figure.axes[0].lines) == 13


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("", ("no window can be opened", "--text", "--output", "headless")),
        ("agg", ("no window can be opened", "--text", "MPLBACKEND is agg")),
        ("nonsense", ("matplotlib does not start", "'nonsense'")),
    ],
)
def test_without_a_window(start_view, rig, monkeypatch, backend, said):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    window = start_view("--connect", rig.server.monitor, MPLBACKEND=backend)
    _, error = window.communicate(timeout=60)
    assert (window.returncode, len(error.splitlines())) == (1, 1)
    assert all(one in error for one in said)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_terminal_gets_its_cursor_back(start_view, rig, signum):
    ours, its = os.openpty()
    shown = start_view("--connect", rig.server.monitor, "--text", stdout=its, TERM="xterm", LINES="60")
    os.close(its)
    seen = b""
    while b"acquired" not in seen:
        seen += os.read(ours, 4096)
    assert b"\x1b[?25l" in seen
    shown.send_signal(signum)
    with contextlib.suppress(OSError):  # the end of it
        while part := os.read(ours, 4096):
            seen += part
    os.close(ours)
    assert (shown.wait(60), shown.stderr.read()) == (0, "")
    assert b"\x1b[?25h" in seen


def test_interrupted_before_it_was_done(start_view):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as mute:
        port = mute.bind_to_random_port("tcp://127.0.0.1")
        shown = start_view("--connect", f"127.0.0.1:{port}", "--once", "--text")
        assert mute.recv_multipart()[-1] == b"status"
        shown.send_signal(signal.SIGINT)
        assert (shown.wait(60), *shown.communicate()) == (130, "", "")


def test_who_reads_it_has_enough(start_view, rig):
    shown = start_view("--connect", rig.server.monitor, "--text")
    shown.stdout.readline()
    shown.stdout.close()
    assert (shown.wait(60), shown.stderr.read()) == (0, "")
    shown.stdout = None


def test_standard_output_has_no_room(start_view, rig):
    with open("/dev/full", "w") as full:
        shown = start_view("--connect", rig.server.monitor, "--once", "--text", stdout=full)
    assert shown.wait(60) == 1
    assert shown.stderr.read() == "xsp3-view: standard output: no space left on device\n"


def test_asking_for_days_leaves_nothing_behind(monkeypatch):
    monkeypatch.setattr(monitor, "CONNECT", 0.01)
    with Monitor(f"127.0.0.1:{free_port()}") as asked:
        counts = []
        for _ in range(60):
            with pytest.raises(monitor.NoAnswerError):
                asked.ask("status", 0.01)
            counts.append(len(os.listdir("/proc/self/fd")))
        deadline = time.monotonic() + 60
        while len(os.listdir("/proc/self/fd")) > max(counts[:10]) + 10:  # a thread of ZeroMQ closes them a little later
            assert time.monotonic() < deadline, counts
            time.sleep(0.02)


@pytest.mark.skipif(not shutil.which("Xvfb"), reason="no virtual display")
def test_a_window(rig, tmp_path, start_view):
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
        window = start_view("--connect", rig.server.monitor, DISPLAY=f":{number}")
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
        _, error = window.communicate(timeout=60)
        assert (window.returncode, error) == (0, "")
    finally:
        display.kill()
        display.wait()
