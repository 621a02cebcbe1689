"""Whether openvino_xai is installed beside this package: both write into one folder, and neither is whole then."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import openvino_xai

CURE = "remove both and install ovxai anew: pip uninstall -y openvino_xai openvino-dev ovxai, then install ovxai as before"


def mixture(package: ModuleType = openvino_xai) -> str | None:
    """What is wrong with how this package is installed, and what helps; None where it is alone in its folder.

    The folder above is listed, which takes a tenth of a millisecond: `importlib.metadata` would take the package's import
    twice over.
    """
    try:
        others = sorted(path.name for path in Path(package.__path__[0]).parent.glob("openvino_xai-*.dist-info"))
    except OSError:
        return None
    if others:
        version = others[0].removeprefix("openvino_xai-").removesuffix(".dist-info")
        return f"openvino_xai {version} is installed beside ovxai, and one overwrites files of the other: {CURE}"
    if getattr(package, "__file__", None) is None:  # `pip uninstall openvino_xai` has taken our __init__.py, too
        return f"files of ovxai are missing, as they are where openvino_xai was installed beside it and removed: {CURE}"
    return None
