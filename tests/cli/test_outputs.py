from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from tiny import CASES

from openvino_xai.cli.app import app
from openvino_xai.errors import OutputError

PHOTO = Path(__file__).parents[2] / "samples" / "images" / "cat.png"


@pytest.mark.parametrize("command", ["explain", "evaluate"])
def test_an_output_that_no_file_system_takes_is_refused(tmp_path: Path, command: str) -> None:
    onnx.save(CASES["pool and linear"].build(1, 17), tmp_path / "model.onnx")
    output = str(tmp_path / ("n" * 300))
    arguments = [command, "--model", str(tmp_path / "model.onnx"), "--input", f"{PHOTO.parent}/*", "--output", output]
    with pytest.raises(OutputError, match="File name too long"):
        app(arguments, standalone_mode=False)
