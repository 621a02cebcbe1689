"""Where the command `ovxai` starts: Ctrl-C ends it without a traceback while its modules are read, too."""

from __future__ import annotations

import signal
import sys


def start() -> None:
    """Run the command line in a child process, under limits."""
    try:
        from openvino_xai.cli.process.guard import guarded

        guarded()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
