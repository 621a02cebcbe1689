"""What a hook in a detector is: every choice made by the caller, by the model, or because a runtime did not take another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast, get_args

from openvino_xai.choices import check_choice
from openvino_xai.contract import MaskKind, Scale
from openvino_xai.dialects.protocol import Runtime
from openvino_xai.errors import InputError
from openvino_xai.graph.sizes import rows_and_columns
from openvino_xai.hooks import SCALES
from openvino_xai.hooks.rows import ROW_METHODS, RowMethod
from openvino_xai.plan.decision import Attempt
from openvino_xai.plan.request import refuse_unportable
from openvino_xai.tail.rows.masked import PROFILES
from openvino_xai.tail.rows.pick import EveryClass, RowPick, parse_row_pick
from openvino_xai.tail.target import Targets
from openvino_xai.words import CutWord

Cut: TypeAlias = CutWord

DEFAULT = "layer_cam"
DEFAULT_TARGETS = "boxes:8"


@dataclass(frozen=True, kw_only=True)
class RowDecision(Attempt):
    """A method, the rows in `pick`, and the set of layers `cut`, unless a caller names layers.

    `boxes` is the format that a caller names. A `mask` keeps or drops image cells, weighed by a `kernel`, in a `grid` of rows
    and columns, None for those of the coarsest layer. At the heads it is of one cell of a level's own layer.
    """

    method: str
    pick: RowPick
    cut: Cut
    boxes: str | None
    mask: MaskKind
    kernel: str
    grid: tuple[int, int] | None

    @classmethod
    def parse(
        cls,
        *,
        method: str | None,
        targets: Targets | None,
        scale: str,
        cut: str | None,
        boxes: str | None = None,
        mask: str | None = None,
        kernel: str = "gaussian",
        grid: str | Sequence[int] | None = None,
        gate: bool = False,
        portable: bool = False,
        runtimes: tuple[Runtime, ...] = (),
    ) -> RowDecision:
        """A decision from what a caller wrote. Raises InputError."""
        if isinstance(method, str) and method in REFUSED:
            raise InputError(f"{method} is not for the rows of a detector: {REFUSED[method]}", options=("method",))
        method = method or ("class_map" if targets == "all" else DEFAULT)
        for word, value, expected in (
            ("method", method, ROW_METHODS),
            ("scale", scale, tuple(SCALES)),
            ("cut", cut or "backbone", get_args(Cut)),
            ("mask", mask or "keep", get_args(MaskKind)),
            ("kernel", kernel, tuple(PROFILES)),
        ):
            check_choice(word, value, expected, of=" of a detector", options=(word,))
        if targets is not None and not isinstance(targets, str):
            raise InputError("of a detector, boxes are explained: targets are boxes:D or asked:D", options=("targets",))
        explains = ROW_METHODS[method].explains
        pick = parse_row_pick(targets or ("all" if explains == "classes" else DEFAULT_TARGETS))
        if (explains == "classes") != isinstance(pick, EveryClass):
            wanted = "all" if explains == "classes" else "boxes:D or asked:D"
            raise InputError(
                f"{method} explains {explains}, and targets are '{pick}': {wanted} is expected", options=("targets",)
            )
        if explains == "classes" and (gate or cut == "backbone"):
            raise InputError(
                f"{method} reads the heads alone, for every image: leave cut and gate out", options=("cut", "gate")
            )
        words = cast(Scale, scale), cast(Cut, cut or ("heads" if explains == "classes" else "backbone"))
        if not ROW_METHODS[method].masks and (mask is not None or grid is not None):
            raise InputError(f"{method} masks no cells: leave mask and grid out", options=("mask", "grid"))
        size = None if grid is None else rows_and_columns("grid", grid)
        refuse_unportable(portable=portable, gate=gate, scale=scale)
        return cls(
            method=method,
            pick=pick,
            scale=words[0],
            cut=words[1],
            boxes=boxes,
            mask=cast(MaskKind, mask or "keep"),
            kernel=kernel,
            grid=size,
            gate="any" if gate else "off",
            isolated=False,
            chunks=1,
            runtimes=runtimes,
            portable=portable,
        )

    @property
    def traits(self) -> RowMethod:
        """What the method explains."""
        return ROW_METHODS[self.method]


MEAN = (
    "it weighs channels by their mean gradient over the whole layer, which says next to nothing of one box "
    "(measured: no better than random maps); layer_cam or hires_cam weigh each cell by its own"
)
BY_IMAGE = "it differentiates the scores of classes by the image; hires_cam tells what each cell adds to a box's log-odds"
REFUSED = dict.fromkeys(("grad_cam", "grad_cam_plus_plus", "smooth_grad_cam_plus_plus", "xgrad_cam"), MEAN)
REFUSED |= dict.fromkeys(("input_gradient", "integrated_gradients"), BY_IMAGE)
