"""What to install beside this package for one runtime alone.

    python -m openvino_xai.cli.installation.requirements openvino|onnx

pip cannot leave out what a package depends on, and this one depends on both runtimes. So it is installed without its
dependencies, and those of one runtime are read of what was installed. Nothing but Python is needed for that.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, requires

RUNTIMES = ("openvino", "onnx")  # the extras with what each needs
PACKAGE = "ovxai"


def requirements_of(lines: list[str], runtime: str) -> list[str]:
    """What a package always needs, by the `lines` of its metadata, without what the other runtimes alone need."""
    others = {name for other in RUNTIMES if other != runtime for name in map(_name, lines_of_extra(lines, other))}
    return [line for line in lines if ";" not in line and _name(line) not in others]


def lines_of_extra(lines: list[str], extra: str) -> list[str]:
    """What an extra needs, by the lines of metadata."""
    pattern = re.compile(rf"""extra\s*==\s*["']{re.escape(extra)}["']""")
    return [line.partition(";")[0].strip() for line in lines if pattern.search(line.partition(";")[2])]


def _name(line: str) -> str:
    match = re.match(r"[\w.-]+", line)
    return match[0].lower() if match else line


def main(arguments: list[str]) -> int:
    """Print the requirements of a runtime, one a line; the exit status."""
    if len(arguments) != 1 or arguments[0] not in RUNTIMES:
        sys.stderr.write(f"usage: python -m openvino_xai.cli.installation.requirements {'|'.join(RUNTIMES)}\n")
        return 2
    try:
        lines = requires(PACKAGE) or []
    except PackageNotFoundError:
        sys.stderr.write(f"the package {PACKAGE} is not installed: pip install --no-deps {PACKAGE}\n")
        return 2
    sys.stdout.writelines(f"{line}\n" for line in requirements_of(lines, arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
