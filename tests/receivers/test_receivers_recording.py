"""What the writer reports when something other than the file system goes wrong."""

import pytest
from receivers_feed import capture, frames, header

from xsp3ioc.receivers.nexus import NexusFile
from xsp3ioc.receivers.recording import Recording
from xsp3ioc.stream.messages import Failed

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.mark.parametrize("method", ["_create", "write", "flush", "close"])
def test_lack_of_memory_is_reported(tmp_path, monkeypatch, method):
    def fail(*_):
        raise MemoryError("no room for 3 GiB")

    reports = []
    recording = Recording(reports.append)
    path = tmp_path / "x.h5"
    monkeypatch.setattr(NexusFile, method, fail)
    for event in (capture(path, flush_interval=0.0), header(), frames(0, 2)):
        recording.take(event)
        recording.tick()
    recording.close()
    assert reports[-1] == Failed(capture_id=1, filename=str(path), frames=reports[-1].frames, error=reports[-1].error)
    assert reports[-1].error == f"{path}: no room for 3 GiB"
    assert sum(isinstance(report, Failed) for report in reports) == 1
