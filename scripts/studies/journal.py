"""Rows on the disk: one a photo, kept as soon as it is measured, by any number of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openvino_xai.cli.evaluation.rows import in_turn
from openvino_xai.cli.text import warn
from openvino_xai.errors import ImageError
from openvino_xai.evaluate.examples import Example
from openvino_xai.runtime.manifest import Manifest
from openvino_xai.runtime.sources import digest_of, stamp
from studies.pages import code

Work = Callable[[list[Example]], Iterator[dict[str, Any] | ImageError]]


@dataclass(frozen=True)
class Journal:
    """What one question about `examples` was answered with, under `conditions`; a shard has a file of its own in `folder`."""

    folder: Path
    conditions: Mapping[str, Any]
    examples: Sequence[Example]

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """By the paths of photos that are what they were, what any shard has measured with this code."""
        done: dict[str, dict[str, Any]] = {}
        for path in sorted(self.folder.glob("*/rows.jsonl")):
            done |= Manifest.read(path, self._question, _sources(self.examples)).done
        return done

    def measure(self, photos: int, shard: tuple[int, int], work: Work) -> None:
        """Let `work` make the rows of the first photos that are missing, of this shard (i, n): each n-th from the i-th on.

        Photos that cannot be read or measured are warned of, and tried again by the next run.
        """
        index, count = shard
        done = self.rows
        left = [example for example in self.examples[:photos][index - 1 :: count] if str(example.path) not in done]
        if left:
            rows, _ = in_turn(self.folder / f"{index}of{count}", _sources(left), left, work, self._question, again=False)
            for row in rows.values():
                if row.get("error"):
                    warn(f"skipped: {row['error']}")

    @property
    def _question(self) -> dict[str, Any]:
        return {"code": code(), **self.conditions}


def _sources(examples: Sequence[Example]) -> dict[str, Any]:
    """For each photo a digest of its file and of what is known of it."""
    return {
        str(example.path): digest_of([stamp(example.path), example.label, example.boxes, example.outlines, example.size])
        for example in examples
    }
