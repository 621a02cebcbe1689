"""Whether openvino_xai is installed beside this package: both write into one folder, and neither is whole then."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[1]  # the package
CURE = "remove both and install ovxai anew: pip uninstall -y openvino_xai openvino-dev ovxai, then pip install ovxai"


def mixture(folder: Path = FOLDER) -> str | None:
    """What is wrong with how this package is installed in a `folder`, and what helps; None where it is alone there.

    The folder above is listed, which takes a tenth of a millisecond: `importlib.metadata` would take the package's import
    twice over.
    """
    try:
        others = sorted(path.name for path in folder.parent.glob("openvino_xai-*.dist-info"))
    except OSError:
        return None
    if others:
        version = others[0].removeprefix("openvino_xai-").removesuffix(".dist-info")
        return f"openvino_xai {version} is installed beside ovxai, and one overwrites files of the other: {CURE}"
    if not (folder / "__init__.py").is_file():  # `pip uninstall openvino_xai` has taken ours, too
        return f"files of ovxai are missing, as they are where openvino_xai was installed beside it and removed: {CURE}"
    return None
