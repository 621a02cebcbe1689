"""One run at a time writes into a folder."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openvino_xai.errors import InputError
from openvino_xai.runtime.folders import reserve
from openvino_xai.runtime.folders.reserve import LOCK, reserved

HOLDS = """
import sys, time
from pathlib import Path
from openvino_xai.runtime.folders.reserve import reserved
with reserved(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(100)
"""


def test_a_second_run_is_refused_until_the_first_ends_however_it_does(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for ended in (signal.SIGTERM, signal.SIGKILL):
        with subprocess.Popen([sys.executable, "-c", HOLDS, str(folder)], stdout=subprocess.PIPE) as first:
            assert first.stdout is not None and first.stdout.readline() == b"ready\n"
            with (
                pytest.raises(InputError, match=f"out is in use by process {first.pid} on .*: choose another folder"),
                reserved(folder),
            ):
                pass
            first.send_signal(ended)
        with reserved(folder):  # what a killed process has left locks nobody out
            assert (folder / LOCK).read_text().startswith(f"process {os.getpid()} on ")
    assert list(folder.iterdir()) == []


def test_a_run_that_writes_nothing_leaves_nothing(tmp_path: Path) -> None:
    with reserved(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / LOCK).exists()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    with reserved(tmp_path / "empty"):
        pass
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(reserve.fcntl, "flock", none)
    refused = pytest.raises(InputError, match=r"has no locks to tell; remove .*sole when no run")
    with reserved(tmp_path), refused, reserved(tmp_path):
        pass
    with reserved(tmp_path):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links as files")
def test_what_is_no_lock_file(tmp_path: Path) -> None:
    lock = tmp_path / LOCK
    os.mkfifo(lock)
    with pytest.raises(InputError, match="no regular file"), reserved(tmp_path):
        pass
    lock.unlink()
    (tmp_path / "precious").write_text("text")
    lock.symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match="cannot write into"), reserved(tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "text"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write into"), reserved(tmp_path / "file" / "out"):
        pass
