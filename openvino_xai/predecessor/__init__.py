"""Where names of openvino_xai 1.1.0 lead, whose package has our name: to what does the same here.

`from openvino_xai.explainer import Explainer` fails, and the error names the successor. What that version's services call in a
line or two, `insert_xai` with `Task` and `Method`, works here with its meaning. Nothing is loaded before it is asked for.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "openvino_xai"
_HOME = {"insert_xai": "insertion", "has_xai": "insertion", "Task": "words", "Method": "words"}


class Modules:
    """Finds the modules of 1.1.0 where no module of ours has the name: empty ones, whose names lead to successors.

    Python asks it last. It also answers what `from MODULE import NAME` looks for where a module has no such name.
    """

    @classmethod
    def find_spec(cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """A module of 1.1.0; None where it had none of this name. Raises ImportError for another of its names."""
        package, _, name = fullname.partition(".")
        if package != PACKAGE or not name:
            return None
        from openvino_xai.predecessor.successors import MODULES, successor, successor_of_module

        if name in MODULES:
            return ModuleSpec(fullname, cls, is_package=True)  # type: ignore[arg-type]
        place, _, last = name.rpartition(".")
        text = successor_of_module(name) or successor(place, last)
        if text is not None:
            raise ImportError(text, name=fullname)
        return None

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """None: Python makes the module."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Let the module answer for its names."""
        place = module.__name__.partition(".")[2]
        module.__getattr__ = lambda name: attribute(name, place)  # type: ignore[method-assign]


def attribute(name: str, place: str = "") -> Any:
    """What 1.1.0 called `name` in its module `place`, "" for the package. Raises AttributeError, which names the successor."""
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    text = None
    if not name.startswith("_"):
        from openvino_xai.predecessor.successors import successor

        text = successor(place, name)
    module = f"{PACKAGE}.{place}" if place else PACKAGE
    raise AttributeError(text or f"module '{module}' has no attribute '{name}'")


@cache
def warn_of_mixture() -> None:
    """Warn once, with a MixedInstallWarning, where openvino_xai is installed into the folder of this package, too."""
    from openvino_xai.predecessor.installed import mixture

    if (text := mixture()) is not None:
        from openvino_xai.errors import MixedInstallWarning

        warnings.warn(MixedInstallWarning(text), stacklevel=3)


def answer_for_modules() -> None:
    """Let Python ask here for modules that it finds nowhere else."""
    if Modules not in sys.meta_path:
        sys.meta_path.append(Modules)
