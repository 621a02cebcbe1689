"""A map in Matplotlib, which is an extra: it is imported when somebody plots."""

from __future__ import annotations

from typing import Any

import numpy as np

from openvino_xai.choices import quoted
from openvino_xai.errors import InputError
from openvino_xai.render.overlay import Style, colour

LEVELS = 256  # of a colour map


def plotted(
    photo: np.ndarray, saliency: np.ndarray, limits: tuple[float, float], *, caption: str, style: Style, axes: Any
) -> Any:
    """Axes with a photo [H, W, 3], a map [H, W] over it where it is a number, and a bar of its values.

    Colours are those of `overlay`: the `limits`, the least and the greatest value of the map's cells, are at the ends. Raises
    InputError where Matplotlib is missing.
    """
    try:
        from matplotlib import pyplot
        from matplotlib.axes import Axes
        from matplotlib.colors import ListedColormap
    except ImportError as error:
        raise InputError("plot() draws with Matplotlib, which is not installed: pip install 'ovxai[plot]'") from error
    colours = ListedColormap(colour(np.linspace(0, 1, LEVELS)[None], style.colormap)[0] / 255)
    if axes is not None and not isinstance(axes, Axes):
        raise InputError(f"axes are {quoted(axes)}: axes of Matplotlib, or None for new ones, are expected")
    if axes is None:
        _, axes = pyplot.subplots(layout="constrained")
    low, high = limits
    axes.imshow(photo)
    shown = axes.imshow(
        np.ma.masked_invalid(saliency), cmap=colours, alpha=style.opacity, vmin=low, vmax=high, interpolation="nearest"
    )
    # what no font has a letter for stays out, and a label with $ is no formula
    axes.set_title("".join(letter for letter in caption if letter.isprintable()), parse_math=False)
    axes.set_axis_off()
    axes.figure.colorbar(shown, ax=axes, shrink=0.8).solids.set_alpha(1)
    return axes
