"""What is removed is what a killed process has left, and nothing else, whatever folders are called."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openvino_xai.files import watch
from openvino_xai.files.scratch import scratch_folder, sweep
from openvino_xai.files.watch import FOLDERS, WATCH, note_folder, noted_folders

LEFT = ".ovxai-deadbeef-00000000"
BREAKS = ["\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", " ", ":", "\udc80"]
NAMES = st.lists(st.sampled_from(["Documents", "x", *BREAKS]), min_size=1, max_size=6).map("".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(NAMES, min_size=1, max_size=3))
def test_any_name_of_a_folder_is_written_down_as_it_is(tmp_path: Path, names: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WATCH, str(tmp_path))
        patch.setattr(watch, "_noted", set())
        folder = tmp_path.joinpath(*names)
        note_folder(folder)
        note_folder(folder)
        note_folder(tmp_path / "other")
    assert noted_folders(tmp_path) == [folder, tmp_path / "other"]
    (tmp_path / FOLDERS).unlink()


def test_a_name_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    (tmp_path / FOLDERS).write_bytes(b"/folders/out\0/folders/anoth")
    assert noted_folders(tmp_path) == [Path("/folders/out")]


def test_only_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    for folder in (precious, tmp_path / ".ovxai-settings", tmp_path / ".ovxai-DEADBEEF-00000000", tmp_path / f"{LEFT}.bak"):
        folder.mkdir()
        (folder / "canary").write_text("alive")
    (tmp_path / LEFT).mkdir()
    (tmp_path / LEFT / "out").symlink_to(precious)
    (tmp_path / ".ovxai-deadbeef-0000link").symlink_to(precious)
    (tmp_path / ".ovxai-deadbeef-0000file").write_text("alive")
    with scratch_folder(tmp_path) as busy:
        (busy / "canary").write_text("alive")
        sweep(tmp_path)
        assert (busy / "canary").exists()
    assert not (tmp_path / LEFT).exists() and not busy.exists()
    assert len(list(tmp_path.iterdir())) == 6
    assert len(list(tmp_path.rglob("canary"))) == 4


def test_what_another_process_writes_is_not_swept(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom openvino_xai.files.scratch import scratch_folder\n"
        "with scratch_folder(Path(sys.argv[1])) as folder:\n    print(folder, flush=True)\n    time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    sweep(tmp_path)
    assert folder.is_dir()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    sweep(tmp_path, "other000")
    assert folder.is_dir()
    sweep(tmp_path)
    assert not folder.exists()
