"""The command `ovxai`: arguments in, text out. Nothing else in the package prints."""

from openvino_xai.cli.app import main

__all__ = ["main"]
