"""`ovxai compare` for detectors: do two look at the same things where they see the same boxes?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from openvino_xai.cli.compare import Comparison, in_cells, means_in_cells

if TYPE_CHECKING:
    import numpy as np

    from openvino_xai.evaluate.boxes.compare import ComparedBoxes, Pair


def of_boxes(rows: list[ComparedBoxes], models: list[str], worst: int) -> Comparison:
    """Boxes that two detectors see, those first that differ most."""
    from openvino_xai.evaluate.boxes.compare import overall

    means = overall(rows)
    pairs = sorted(((row, pair) for row in rows for pair in row.pairs), key=lambda item: item[1].similarity.pearson)
    cells = [["mean", *means_in_cells(means), ""]] if pairs else []
    for row, pair in pairs[:worst]:
        target = row.first.targets[pair.places[0]]
        name = f"{row.first.path}: {target.label} {target.probability:.0%}"
        cells.append([name, *in_cells(pair.similarity), f"{pair.iou:.3f}"])
    counts = [
        sum(len(side.targets) for side in sides) for sides in zip(*((row.first, row.second) for row in rows), strict=True)
    ]
    return Comparison(
        {
            "models": models,
            "images": len(rows),
            "boxes": counts,
            "matched": len(pairs),
            "mean": means,
            "rows": [_record(row) for row in rows],
        },
        "IoU",
        cells,
        f"{models[0]} and {models[1]}, {len(rows)} images: {len(pairs)} boxes in both, of {counts[0]} and {counts[1]}",
        lambda: [_pictures(row, pair) for row, pair in pairs[:worst]],
    )


def _record(row: ComparedBoxes) -> dict[str, Any]:
    """A photo: the boxes in both, and the indices of those that one detector alone sees."""
    sides = row.first, row.second
    alone = [
        [
            target.to_dict()
            for place, target in enumerate(side.targets)
            if place not in {pair.places[which] for pair in row.pairs}
        ]
        for which, side in enumerate(sides)
    ]
    both = [
        {
            "boxes": [side.targets[place].to_dict() for side, place in zip(sides, pair.places, strict=True)],
            "iou": pair.iou,
            **asdict(pair.similarity),
        }
        for pair in row.pairs
    ]
    return {"image": str(row.first.path), "matched": both, "alone": alone}


def _pictures(row: ComparedBoxes, pair: Pair) -> list[tuple[np.ndarray, str]]:
    pictures = [(row.first.image, f"r = {pair.similarity.pearson:.2f}")]
    for side, place in zip((row.first, row.second), pair.places, strict=True):
        target = side.targets[place]
        pictures.append((side.overlay(place), f"{target.label} {target.probability:.0%}"))
    return pictures
