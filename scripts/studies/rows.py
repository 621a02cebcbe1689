"""The rows of a study: a photo by a method on a network, kept as soon as it is measured, and not measured again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np

import openvino_xai as xai
from openvino_xai.dialects.digest import model_digest
from openvino_xai.errors import ImageError, InputError
from openvino_xai.evaluate.classes.baselines import BASELINES
from openvino_xai.evaluate.classes.case import Choices
from openvino_xai.evaluate.classes.metrics import METRICS
from openvino_xai.evaluate.classes.run import evaluate, which_target
from openvino_xai.evaluate.examples import Example, find_examples
from openvino_xai.files.writing import written_whole
from openvino_xai.hooks import METHODS as HOOKS
from openvino_xai.method_table import PROBED
from openvino_xai.probes import PROBES, Settings
from openvino_xai.runtime.inputs.labels_file import read_labels
from openvino_xai.runtime.network import Network
from openvino_xai.runtime.ready.networks import targets_of_hook
from openvino_xai.runtime.sources import digest_of
from studies.journal import Journal, Work
from studies.networks import Study
from studies.pages import code, slug

MASKING = ("average_drop", "average_increase", "coherency", "complexity", "sparsity", "pointing_game", "energy")
CAUSAL = ("deletion", "insertion")  # sixty inferences, where the others take two
OTHERS = ("comprehensiveness", "sufficiency", "sensitivity", "infidelity", "road", "sic", "aic")
PARTS = (MASKING, CAUSAL, OTHERS)
TOGETHER = tuple(  # what one row may hold
    tuple(name for part in some for name in part) for count in (1, 2, 3) for some in combinations(PARTS, count)
)
OF_PIXELS = tuple(name for name, hook in HOOKS.items() if hook.of_elements)  # as probes they take any network
METHODS = (
    *(name for name in HOOKS if name not in OF_PIXELS),
    *(name for name in PROBES if name not in HOOKS or name in OF_PIXELS),
)
QUICK = ("saliency", "input_x_gradient")  # probes that ask once
PROTOCOLS: dict[str, dict[str, Any]] = {  # how papers measure, where it is not our way
    "FD-CAM": {"step": 0.036},
    "Abs-CAM": {"scaled": "half"},
}
FEW = 4  # photos, of methods that take long
DEAR = 8.0  # times the plain network: above it, a hook is measured on few photos


@dataclass(frozen=True)
class Plan:
    """Where rows are kept, which methods are measured, and on how many photos with which metrics.

    `limit` photos have metrics of a masked image, `causal` of these insertion and deletion, and `others` all else. Methods that
    ask a network hundreds of times have these of `few` photos, by default as many as the study says, or four. A `shard` (i, n)
    measures each n-th photo from the i-th on.
    """

    work: Path
    methods: tuple[str, ...] = METHODS
    limit: int = 40
    causal: int = 10
    others: int = 0
    few: int | None = None
    masks: int = 500
    seed: int = 0
    shard: tuple[int, int] = (1, 1)
    reads_only: bool = False  # what was never tried stays so


def masks_of(plan: Plan, method: str) -> int | None:
    """How many masks a method takes that is told; None for others."""
    return plan.masks if method in PROBED and "masks" in PROBED[method].settings else None


@dataclass(frozen=True)
class Place:
    """What a network makes of a method: a `hook`, a `probe`, or why it is `refused`; `cost` times the plain network."""

    kind: Literal["hook", "probe", "refused", "failed", "untried"]
    reason: str = ""
    cost: float = 1.0


@dataclass
class Measured:
    """The rows of a study: measured where they are missing, and read."""

    study: Study
    plan: Plan
    _networks: dict[str, Network] = field(default_factory=dict)  # the last that was opened

    def check(self) -> None:
        """Raise an OvxaiError where the model, or the photos, cannot be read, or where boxes are explained."""
        if self.plain.is_detector:
            raise InputError(f"{self.study.model} explains boxes: scripts/detector_study.py compares the methods for these")
        which_target(None, self.examples)

    @property
    def name(self) -> str:
        """The study's name among folders and tables."""
        return slug(self.study.title)

    @cached_property
    def plain(self) -> Network:
        """The network without a hook."""
        return self._configured(xai.load(self.study.model))

    @cached_property
    def examples(self) -> list[Example]:
        """The photos, in an order that the seed draws: any number of them from the first on is a random sample."""
        examples = find_examples([str(self.study.photos)], self.plain.labels, self.plain.classes)
        order = np.random.default_rng(self.plan.seed).permutation(len(examples))
        return [examples[index] for index in order]

    @property
    def few(self) -> int:
        """How many photos methods have that take long."""
        return self.plan.few or self.study.few or FEW

    @cached_property
    def is_located(self) -> bool:
        """Whether it is known where the objects are."""
        return all(example.boxes or example.outlines for example in self.examples)

    @cached_property
    def reference(self) -> str | None:
        """The method that others stand beside, the first that the network takes; the baselines are on its grid."""
        return next((method for method in self.plan.methods if self.place(method).kind in ("hook", "probe")), None)

    def place(self, method: str) -> Place:
        """What the network makes of a method. A refusal is kept, as a row is."""
        path = self.plan.work / "methods" / self.name / f"{method}.json"
        key = digest_of([code(), self.model_digest, self.study.layers.get(method)])
        if path.exists() and (entry := json.loads(path.read_text()))["key"] == key:
            return Place(entry["kind"], entry["reason"], entry["cost"])
        if self.plan.reads_only:
            return Place("untried")
        place = self._tried(method)
        if place.kind != "failed":
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(path) as temporary:
                temporary.write_text(json.dumps({"key": key, **asdict(place)}))
        return place

    def is_quick(self, method: str) -> bool:
        """Whether the network takes a method that does not ask it hundreds of times."""
        place = self.place(method)
        return place.kind in ("hook", "probe") and place.cost <= DEAR

    def network(self, method: str) -> Network:
        """The network that explains by a method. Raises an OvxaiError."""
        if method not in self._networks:
            self._networks.clear()
            self._networks[method] = self._hooked(method) if self.place(method).kind == "hook" else self._probed(method)
        return self._networks[method]

    def measure(self, method: str) -> None:
        """Measure what is missing of this shard. Raises an OvxaiError where the network cannot be asked."""
        for names, photos in self.parts(method):
            self._journal(method, names).measure(photos, self.plan.shard, self._work(method, names))

    def parts(self, method: str) -> list[tuple[tuple[str, ...], int]]:
        """Which metrics a method is measured with, each time on how many photos."""
        plan, study, place = self.plan, self.study, self.place(method)
        if place.kind not in ("hook", "probe"):
            return []
        limit, causal, others = (min(count, study.most or count) for count in (plan.limit, plan.causal, plan.others))
        wanted = list(zip(PARTS, (limit, causal, others), strict=True))
        if place.cost > DEAR:
            wanted = [(tuple(name for names, count in wanted if count for name in names), self.few)]
        return [(self._of_examples(names), count) for names, count in wanted if count]

    def measure_as(self, protocol: str, method: str, names: Sequence[str], photos: int) -> None:
        """Measure metrics of a method as a paper does. Raises an OvxaiError where the network cannot be asked."""
        if (place := self.place(method)).kind in ("hook", "probe"):
            count = min(photos, self.few) if place.cost > DEAR else photos
            self._journal(method, names, protocol).measure(count, self.plan.shard, self._work(method, names, protocol))

    def rows_as(self, protocol: str, method: str, names: Sequence[str]) -> list[dict[str, Any]]:
        """What is measured of a method as a paper does it, in the order of the photos."""
        rows = self._journal(method, names, protocol).rows
        return [rows[image] for example in self.examples if (image := str(example.path)) in rows]

    def rows(self, method: str) -> list[dict[str, Any]]:
        """All that is measured of a method, in the order of the photos; a metric that a photo lacks was not asked of it."""
        merged: dict[str, dict[str, Any]] = {}
        for names in TOGETHER if self.place(method).kind in ("hook", "probe") else ():
            for image, row in self._journal(method, self._of_examples(names)).rows.items():
                entry = merged.setdefault(image, {**row, "metrics": {}, "baselines": {}})
                entry["metrics"] |= row["metrics"]
                for name, values in row.get("baselines", {}).items():
                    entry["baselines"].setdefault(name, {}).update(values)
        return [merged[image] for example in self.examples if (image := str(example.path)) in merged]

    def _of_examples(self, names: Sequence[str]) -> tuple[str, ...]:
        """The metrics that make sense of these photos."""
        return tuple(name for name in names if self.is_located or not METRICS[name].located)

    @cached_property
    def model_digest(self) -> str:
        return str(model_digest(self.study.model))

    def _tried(self, method: str) -> Place:
        reason = ""
        for kind, opened in (("hook", self._hooked), ("probe", self._probed)):
            if method not in (HOOKS if kind == "hook" else PROBES) or (kind == "hook" and method in OF_PIXELS):
                continue
            try:
                network = opened(method)
            except xai.OvxaiError as error:
                reason = reason or str(error).splitlines()[0].replace(str(self.study.model), self.study.model.name)
            except Exception as error:
                return Place("failed", f"{type(error).__name__}: {error}")
            else:
                self._networks = {method: network}
                quick = kind == "hook" or method in QUICK
                return Place(
                    "hook" if kind == "hook" else "probe", reason, float(network.record.get("cost", 1)) if quick else 1e3
                )
        return Place("refused", reason)

    def _hooked(self, method: str) -> Network:
        """The network with a hook, from a file that is made once."""
        suffix = ".onnx" if self.study.model.suffix == ".onnx" else ".xml"
        layer = self.study.layers.get(method)
        path = self.plan.work / "hooked" / digest_of([code(), self.model_digest, layer]) / f"{method}{suffix}"
        if not path.exists():
            targets = targets_of_hook(method, "all", of_pixels=False)
            hooked = xai.insert(self.study.model, method=method, layer=layer, targets=targets)
            path.parent.mkdir(parents=True, exist_ok=True)
            hooked.save(path)
        return self._configured(xai.load(path))

    def _probed(self, method: str) -> Network:
        settings = Settings(masks=self.plan.masks, seed=self.plan.seed)
        return self._configured(xai.probe(self.study.model, method, settings=settings, layer=self.study.layers.get(method)))

    def _configured(self, network: Network) -> Network:
        labels = None if self.study.labels is None else read_labels(self.study.labels)
        network.configure(labels=labels, preprocessing=self.study.options)
        network.notify = None
        return network

    def _work(self, method: str, names: Sequence[str], protocol: str = "") -> Work:
        target, baselines = which_target(None, self.examples), self._baselines(method, protocol)

        def measured(examples: Sequence[Example]) -> Iterator[dict[str, Any] | ImageError]:
            choices = Choices(seed=self.plan.seed, **PROTOCOLS.get(protocol, {}))
            yield from evaluate(self.network(method), examples, names, target=target, choices=choices, baselines=baselines)

        return measured

    def _baselines(self, method: str, protocol: str = "") -> list[str]:
        return list(BASELINES) if method == self.reference and not protocol else []

    def _journal(self, method: str, names: Sequence[str], protocol: str = "") -> Journal:
        study, plan = self.study, self.plan
        conditions = {
            "model": self.model_digest,
            "options": study.options,
            "method": method,
            "layer": study.layers.get(method),
            "metrics": list(names),
            "masks": masks_of(plan, method),
            "seed": plan.seed,
            "baselines": self._baselines(method, protocol),
            **PROTOCOLS.get(protocol, {}),
        }
        folder = plan.work / "rows" / self.name / method / digest_of([*names, *([protocol] if protocol else [])])[:8]
        return Journal(folder, conditions, self.examples)
