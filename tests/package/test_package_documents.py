"""What the documents say is so: tables, examples, commands."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import package_tables
import pytest

from xsp3ioc.__main__ import make_parser
from xsp3ioc.configuration import Access, Autosave, Hardware, Serve, read_configuration
from xsp3ioc.sdk import EmulatorSettings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text()
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()

REFUSED = """
try:
    put("det1:NumImages", 0)
except RuntimeError as error:
    print(error)
"""


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@every_page
def test_links(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_tables_follow_from_the_code(page):
    text = page.read_text()
    assert text == package_tables.current(text), "python tests/package/package_tables.py writes them anew"


def test_there_are_all_tables():
    found = {name for page in PAGES for name in re.findall(r"<!-- table: (\w+) -->", page.read_text())}
    assert found == set(package_tables.TABLES)


@pytest.mark.parametrize(
    ("title", "table"),
    [
        ("server", Serve), ("access", Access), ("autosave", Autosave), ("detector", Hardware),
        ("emulator", EmulatorSettings),
    ],
)
def test_configuration_keys(title, table):
    section = CONFIGURATION.split(f"## `[{title}]`")[1].split("\n## ")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", section, re.MULTILINE))
    expected = {}
    for field in msgspec.structs.fields(table):
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        expected[field.name] = "none" if default is None else f"`{msgspec.json.encode(default).decode()}`"
    if title == "emulator":
        expected = {name: default for name, default in expected.items() if name not in ("channels", "cards")}
    numbers = {"`4e-8`": "`4e-08`"}
    assert told == {name: numbers.get(default, default) for name, default in expected.items()}


def test_the_commands_are_those_of_ci():
    commands = "".join(blocks(README, "sh")).splitlines()
    lines = [line for line in commands if line.startswith("python3 -m venv")]
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert len(lines) == 2
    assert [f"run '{line}'" for line in lines] == [line for line in script if line.startswith("run 'python3")]


def test_the_example_configuration(tmp_path):
    (example,) = blocks(README, "toml")
    (tmp_path / "my.toml").write_text(example)
    configuration = read_configuration(str(tmp_path / "my.toml"))
    configuration.detector.library = "libxspress3.so"
    configuration.check()
    names = package_tables.parameters(package_tables.Declared)
    assert set(configuration.parameters) <= set(names)
    # The emulator would have such a system.
    configuration.emulator = {"product": "mini"}
    assert configuration.emulator_settings().channels == 8


def test_options_of_the_server_exist():
    options = {option for action in make_parser()._actions for option in action.option_strings}
    for line in re.findall(r"`?xsp3ioc (--[^`\n]+)", README):
        assert set(re.findall(r"--[a-z-]+", line)) <= options


def test_the_example_scan(start_server, tmp_path):
    server = start_server()
    example, _, _ = blocks(README, "python")
    script = tmp_path / "scan.py"
    example = example.replace("XSP3_4Chan:", server.prefix).replace('"/tmp"', f'"{tmp_path}"')
    script.write_text(example + REFUSED)
    result = subprocess.run(
        [sys.executable, script], env=server.environment, cwd=tmp_path, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    *points, last, refusal = result.stdout.splitlines()
    assert len(points) == 10
    assert last == f"{tmp_path}/scan0.hdf5 10"
    assert refusal == "NumImages = 0 is below 1"


def test_the_example_of_tango(start_server, tmp_path):
    server = start_server("--tango", "test/xspress3/1", "--tango-port", "0", "--nodb")
    name = re.search(r"tango://\S+", server.banner)[0]
    _, example, _ = blocks(README, "python")
    example = example.replace("tango://127.0.0.1:10123/test/xspress3/1#dbase=no", name).replace('"/tmp', f'"{tmp_path}')
    result = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stdout) == (0, f"STANDBY {tmp_path}/scan_000001.h5\n"), result.stderr


def test_the_example_without_a_server(tmp_path):
    *_, example = blocks(README, "python")
    result = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stdout) == (0, "(10, 4, 4096) True\n"), result.stderr


def test_the_example_receiver(start_server, tmp_path):
    server = start_server(parameters={"frames": 30, "exposure_time": 0.001})
    example, look = blocks((ROOT / "docs" / "stream.md").read_text(), "python")
    script = tmp_path / "receive.py"
    script.write_text(example.replace("tcp://127.0.0.1:9999", server.data))
    receiver = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    server.wait_for_log("Subscriber 'example' joined")
    acquire = f"import epics; epics.caput('{server.prefix}det1:Acquire', 1, wait=True, timeout=30)"
    subprocess.run([sys.executable, "-c", acquire], env=server.environment, check=True, timeout=60)
    output, _ = receiver.communicate(timeout=30)
    assert output.startswith("30 frames of 4 channels; simulated: True\n")
    assert output.endswith("complete nothing missing\n")
    script.write_text(look.replace("tcp://127.0.0.1:9998", server.monitor))
    looked = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, timeout=30)
    assert re.fullmatch(r"29 \d+\n", looked.stdout), looked.stderr
