"""Everything this package raises on purpose.

::

    OvxaiError                 catch this one to catch them all
    ├── InputError             what the caller gave: a path, an option
    │   ├── ImageError         an image that cannot be read, or explained
    │   └── OutputError        a file that cannot be written
    ├── ModelError             a model that cannot be read, or is not a classifier
    │   └── AlreadyHooked      a model that carries a hook already
    ├── LayerError             a layer that is unknown, bypassed, or has no cells
    ├── PlanError              a tail that cannot be repeated over rows
    │   └── TooLarge           a plan that would need more memory than allowed
    └── VerificationError      a hooked model that does not do what it promises
        ├── OutputsChanged     ... whose original outputs are not what they were
        └── NoneRefused        ... that the runtime cannot run where no image is asked for

What it warns of is a UserWarning: a PreprocessingWarning, where a model may not be fed what it expects, or a
MixedInstallWarning, where another distribution writes into this package.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

PACKAGE = str(Path(__file__).parent)


class OvxaiError(Exception):
    """The message says what was found, what was expected and what to do.

    `node` names the place in the model, where there is one. `options` are those that help, by their names in Python: the
    command line shows how it spells them.
    """

    def __init__(self, message: str, *, node: str | None = None, options: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.node = node
        self.options = options


class InputError(OvxaiError):
    """A path or an option that cannot be used."""


class ImageError(InputError):
    """An image that cannot be read, or explained."""


class OutputError(InputError):
    """A file or folder that cannot be written."""


class ModelError(OvxaiError):
    """A model that cannot be read, or that is not a classifier we can explain."""


class AlreadyHooked(ModelError):
    """A model that carries a hook; `record` holds what was recorded when it was inserted."""

    def __init__(self, message: str, *, record: dict[str, str]) -> None:
        super().__init__(message)
        self.record = record


class LayerError(OvxaiError):
    """A layer that is unknown, does not separate input from scores, or has no cells.

    Where no layer is on all ways to the scores, `ways` names the last on each, with commas between. `why` is the message
    without the `way_out`.
    """

    def __init__(
        self,
        message: str,
        *,
        node: str | None = None,
        options: tuple[str, ...] = (),
        way_out: str | None = None,
        ways: str | None = None,
    ) -> None:
        super().__init__(message if way_out is None else f"{message}; {way_out}", node=node, options=options)
        self.why, self.ways = message, ways


class PlanError(OvxaiError):
    """A tail with an operation that cannot be repeated over rows; `node` names it."""


class TooLarge(PlanError):
    """A plan whose largest intermediate, `needed` bytes an image, is above the limit; `fits` names a layer below it."""

    def __init__(self, message: str, *, needed: int, fits: str | None) -> None:
        super().__init__(message, options=("layer", "max_memory") if fits else ("max_memory",))
        self.needed = needed
        self.fits = fits


class VerificationError(OvxaiError):
    """A hooked model whose outputs are not the original ones, or whose maps are not the definition."""


class OutputsChanged(VerificationError):
    """A hooked model whose original outputs differ from the plain model's in some bit."""


class NoneRefused(VerificationError):
    """A gated model that the runtime cannot run where no image is asked for."""


class PreprocessingWarning(UserWarning):
    """What makes one doubt that a model is fed what it expects. `options` are those that help, as of an error."""

    def __init__(self, message: str, *, options: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.options = options


class MixedInstallWarning(UserWarning):
    """Another distribution, openvino_xai, is installed into the folder of this package."""


def warn(warning: Warning) -> None:
    """Warn in the line of whoever called this package, however many of its functions lie between."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(warning, stacklevel=level)
