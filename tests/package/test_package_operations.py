"""The systemd unit, and what the page about operations says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from xsp3ioc import autosave, autosave_file, service
from xsp3ioc.__main__ import COMMANDS, make_parser
from xsp3ioc.configuration import read_configuration

ROOT = Path(__file__).parents[2]
UNIT = (ROOT / "xsp3ioc" / "data" / "xsp3ioc.service").read_text()
PAGE = (ROOT / "docs" / "operations.md").read_text()
OPTIONS = {option for action in make_parser()._actions for option in action.option_strings}


def settings(key):
    return re.findall(rf"^{key}=(.*)$", UNIT, re.MULTILINE)


def test_the_unit_starts_a_server():
    (line,) = settings("ExecStart")
    assert set(re.findall(r"--[a-z-]+", line)) <= OPTIONS
    assert settings("StateDirectory") == settings("LogsDirectory") == ["xsp3ioc"]
    assert "--autosave %S/xsp3ioc " in line
    assert " %L/xsp3ioc/" in line


def test_the_unit_knows_the_exit_codes():
    assert settings("RestartForceExitStatus") == [str(service.RESTART)]
    assert settings("RestartPreventExitStatus") == ["2"]
    # Time enough for the end that the server promises.
    assert int(settings("TimeoutStopSec")[0]) > service.SHUTDOWN + autosave.END + 2


def test_the_unit_leaves_shared_memory_alone():
    assert not settings("(?:PrivateTmp|PrivateIPC|PrivateDevices|MemoryDenyWriteExecute|DynamicUser|RemoveIPC)")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this host")
def test_systemd_understands_the_unit(tmp_path):
    unit = tmp_path / "xsp3ioc.service"
    unit.write_text(UNIT.replace("/opt/xsp3ioc/bin/xsp3ioc", sys.executable).replace("User=xsp3ioc", "User=root"))
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False, timeout=60
    )
    assert [line for line in result.stderr.splitlines() if "xsp3ioc" in line] == []


def test_the_page_tells_what_there_is():
    for command in re.findall(r"xsp3ioc ([a-z]+) ", PAGE):
        assert command in COMMANDS
    for line in re.findall(r"(?:^|bin/|`)xsp3ioc (--[^`\n|]+)", PAGE, re.MULTILINE):
        assert set(re.findall(r"--[a-z-]+", line)) <= OPTIONS, line
    assert autosave_file.END in PAGE
    numbers = {3.0: "three seconds", 5.0: "every\n  five seconds", 600.0: "every ten minutes"}
    for seconds in (autosave.DELAY, autosave.RETRY, autosave_file.ROTATE):
        assert numbers[seconds] in PAGE


def test_the_examples_are_good(tmp_path):
    examples = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for number, example in enumerate(examples):
        path = tmp_path / f"{number}.toml"
        path.write_text(example)
        read_configuration(str(path)).check_values()
    assert len(examples) == 1
    text = re.search(r"^  ```toml\n(.*?)^  ```", PAGE, re.DOTALL | re.MULTILINE)[1].replace("\n  ", "\n")[2:]
    file = autosave_file.SettingsFile(tmp_path, "XSP3_4Chan:", simulated=False)
    file.path.write_text(text)
    found = file.load()
    assert found.problem == ""
    assert found.settings.settings["det1:AcquireTime"] == 0.01
    assert found.settings.calibration == {"det1:C1_SCA5_LLM": 620}
