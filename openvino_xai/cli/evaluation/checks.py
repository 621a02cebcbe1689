"""`ovxai explain --check`: which photos are checked, and what is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from openvino_xai.cli.text import say, warn
from openvino_xai.errors import InputError

if TYPE_CHECKING:
    from openvino_xai.runtime.folder import Explainer

NUMBERS = ("share", "score", "covered", "random")


def some_to_check(network: Explainer, photos: list[Path], limit: int) -> set[Path]:
    """At most `limit` photos, drawn at random. Raises InputError for a network that explains no classes of images."""
    from openvino_xai.evaluate.classes.run import some_of
    from openvino_xai.runtime.network import Network
    from openvino_xai.runtime.tasks.segmenter import Segmenter

    if not isinstance(network, Network) or network.is_detector or isinstance(network, Segmenter):
        raise InputError("a check covers what the map of a class shows, and this model explains something else: leave it out")
    return set(some_of(photos, limit, seed=0))


def tell_checks(lines: list[dict[str, Any]]) -> None:
    """Say what covering did to the first class of a photo, or of several on average; and what maps do not tell."""
    from openvino_xai.explanation.map_check import sentence

    checks = [
        (line["image"], target["check"] | {"said": target.get("notes", [])})
        for line in lines
        for target in line["targets"][:1]
        if "check" in target
    ]
    means = {name: sum(check[name] for _, check in checks) / max(len(checks), 1) for name in NUMBERS}
    if len(checks) == 1:
        say(f"{checks[0][0]}: {sentence(**means)}")
    elif checks:
        say(f"{len(checks)} of {len(lines)} images checked, on average: {sentence(**means)}")
    for image, check in checks:
        for note in (note for note in check["notes"] if note not in check["said"]):
            warn(f"{image}: {note}")


def notes_of(targets: list[dict[str, Any]]) -> str:
    """What maps do not tell, as the end of a sentence on their photo; nothing where they tell all."""
    return "".join(f"; of {target['label']}: {note}" for target in targets for note in target.get("notes", []))


def tell_notes(lines: list[dict[str, Any]]) -> None:
    """Say how many maps of several photos say little, and what helps."""
    parts = [part for line in lines for part in line.get("heads", [line])]
    maps = [target for part in parts for target in part.get("boxes", part.get("targets", []))]
    count = sum("notes" in target for target in maps)
    if count:
        warn(
            f"{count} of {len(maps)} maps say little or nothing (`notes` in explanations.jsonl): where a score is saturated, a "
            "hook with --score logit says more; else another --layer or --method may"
        )
