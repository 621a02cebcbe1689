"""The tables of papers beside ours: is the order of the methods the same, and do our photos tell?"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, TypeAlias

from openvino_xai.evaluate.classes.metrics import ADCC_PARTS, BEST, overall
from studies.pages import grid
from studies.rows import CAUSAL, PROTOCOLS, Measured
from studies.tables import beside, of_metrics, verdict

Figures: TypeAlias = Mapping[str, Mapping[str, float]]
OurRows: TypeAlias = dict[str, list[dict[str, Any]]]
WORDS = SAME, OTHER, OPEN = "same", "other way", "open"
NAMES = {
    "Recipro-CAM": "reciprocam",
    "Grad-CAM": "grad_cam",
    "Grad-CAM++": "grad_cam_plus_plus",
    "SGrad-CAM++": "smooth_grad_cam_plus_plus",
    "Score-CAM": "score_cam",
    "XGrad-CAM": "xgrad_cam",
    "Layer-CAM": "layer_cam",
    "Ablation-CAM": "ablation_cam",
    "Group-CAM": "group_cam",
    "FD-CAM": "fd_cam",
    "Abs-CAM_init": "abs_cam_init",
    "Abs-CAM": "abs_cam",
}


@dataclass(frozen=True)
class Published:
    """A column of a paper's table, and the metric of ours that it is held to."""

    source: str
    file: str
    column: str
    metric: str
    needed: tuple[str, ...]
    protocol: str = ""  # of `PROTOCOLS`, where the paper's is not ours


COLUMNS = (
    Published("Recipro-CAM, table 1, ADCC", "recipro_cam_table1.csv", "adcc", "adcc", ADCC_PARTS),
    Published(
        "FD-CAM, table 1, insertion - deletion",
        "fd_cam_table1_insertion_deletion.csv",
        "overall",
        "difference",
        CAUSAL,
        "FD-CAM",
    ),
    Published("FD-CAM, table 2, pointing", "fd_cam_table2_pointing.csv", "pointing", "pointing_game", ("pointing_game",)),
    Published("Abs-CAM, table 2, drop", "abs_cam_table2.csv", "drop", "average_drop", ("average_drop",), "Abs-CAM"),
    Published(
        "Abs-CAM, table 2, increase", "abs_cam_table2.csv", "increase", "average_increase", ("average_increase",), "Abs-CAM"
    ),
    Published("Abs-CAM, table 2, insertion", "abs_cam_table2.csv", "insertion", "insertion", ("insertion",)),
    Published("Abs-CAM, table 2, deletion", "abs_cam_table2.csv", "deletion", "deletion", ("deletion",)),
    Published("Abs-CAM, table 3, pointing", "abs_cam_table3.csv", "pointing", "pointing_game", ("pointing_game",)),
)


def times(folder: Path) -> dict[str, float]:
    """How many times as long as Recipro-CAM methods take, as its paper's table 2 has it."""
    with (folder / "recipro_cam_table2_time.csv").open(encoding="utf-8") as file:
        return {NAMES[row["method"]]: float(row["ratio"] or 1) for row in csv.DictReader(file)}


def values(folder: Path, published: Published) -> dict[str, dict[str, float]]:
    """What a paper has of each network, by our names of the methods."""
    networks: dict[str, dict[str, float]] = {}
    with (folder / published.file).open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            networks.setdefault(row["network"], {})[NAMES[row["method"]]] = float(row[published.column])
    return networks


def sections(folder: Path, studies: Sequence[Measured]) -> dict[str, str]:
    """For each column of a paper its figures beside ours, and the pairs that our photos tell apart; and how many agree."""
    tables, counts = {}, []
    for published in COLUMNS:
        networks = values(folder, published)
        columns = {
            measured.study.title: _ours(published, list(next(iter(networks.values()))), measured) for measured in studies
        }
        columns = {title: rows for title, rows in columns.items() if len(rows) > 1}
        pairs = _pairs(published, networks, columns, studies[0].plan.seed)
        tables[_name(published)] = _beside(published, networks, columns, pairs)
        for title in columns:
            words = [pair.ours[title][0] for pair in pairs if title in pair.ours]
            photos = max(len(rows) for rows in columns[title].values())
            counts.append([published.source, title, str(photos), *(str(words.count(word)) for word in WORDS)])
    return {"published_counts": grid(["table", "our network", "photos", *WORDS], counts), **tables}


@dataclass(frozen=True)
class Pair:
    """Two methods, the one `ahead` in the paper first, on how many of its `networks`; and what each of our networks says."""

    ahead: str
    behind: str
    networks: str
    ours: Mapping[str, tuple[str, str]]


def _name(published: Published) -> str:
    return f"{Path(published.file).stem}_{published.column}"


def _beside(published: Published, networks: Figures, columns: Mapping[str, OurRows], pairs: Sequence[Pair]) -> str:
    parts = [_figures(published, networks, columns), _order(pairs, list(columns))]
    return "\n\n".join(part for part in parts if part)


def _ours(published: Published, methods: Sequence[str], measured: Measured) -> OurRows:
    rows = {method: of_metrics(measured.rows(method), published.needed, published.needed) for method in methods}
    return {method: some for method, some in rows.items() if some}


def as_published(folder: Path, studies: Sequence[Measured]) -> dict[str, str]:
    """For each column that a paper measures in its own way its figures beside ours that are measured so, as `sections`."""
    tables = {}
    for published in (column for column in COLUMNS if column.protocol):
        networks = values(folder, published)
        columns = {measured.study.title: _as_there(published, networks, measured) for measured in studies}
        columns = {title: rows for title, rows in columns.items() if len(rows) > 1}
        if columns:
            pairs = _pairs(published, networks, columns, studies[0].plan.seed)
            tables[f"{_name(published)}_as_published"] = _beside(published, networks, columns, pairs)
    return tables


def protocols() -> dict[str, tuple[str, ...]]:
    """The metrics that papers measure in their own ways, by the paper."""
    return {
        name: tuple(dict.fromkeys(metric for published in COLUMNS if published.protocol == name for metric in published.needed))
        for name in PROTOCOLS
    }


def _as_there(published: Published, networks: Figures, measured: Measured) -> OurRows:
    names = protocols()[published.protocol]
    rows = {method: measured.rows_as(published.protocol, method, names) for method in next(iter(networks.values()))}
    return {method: some for method, some in rows.items() if some}


def _figures(published: Published, networks: Figures, columns: Mapping[str, OurRows]) -> str:
    percent = 1 if max(value for column in networks.values() for value in column.values()) > 1 else 100
    lines = []
    for method in next(iter(networks.values())):
        cells = [f"{column[method] * percent:.1f}" for column in networks.values()]
        for rows in columns.values():
            some = rows.get(method)
            cells.append(f"{overall(some)[published.metric] * 100:.1f} ({len(some)})" if some else "")
        lines.append([f"`{method}`", *cells])
    return grid(["method", *(f"paper: {name}" for name in networks), *(f"{title} (photos)" for title in columns)], lines)


def _order(pairs: Sequence[Pair], titles: Sequence[str]) -> str:
    """The pairs that photos of any of our networks tell apart, "" where there are none."""
    lines = []
    for pair in pairs:
        if any(word != OPEN for word, _ in pair.ours.values()):
            cells = [f"{word}: {text}" for word, text in (pair.ours.get(title, ("", "")) for title in titles)]
            lines.append(
                [f"`{pair.ahead}`", f"`{pair.behind}`", pair.networks, *("" if cell == ": " else cell for cell in cells)]
            )
    return grid(["ahead in the paper", "behind", "networks", *titles], lines) if lines else ""


def _pairs(published: Published, networks: Figures, columns: Mapping[str, OurRows], seed: int) -> list[Pair]:
    """Each two methods of a paper, and whether the one that is ahead there is ahead here, on the photos that both have."""
    sign = 1 if BEST[published.metric] == "more" else -1
    pairs = []
    for first, second in combinations(next(iter(networks.values())), 2):
        gaps = [sign * (column[first] - column[second]) for column in networks.values()]
        is_turned = sum(gap > 0 for gap in gaps) * 2 < len(gaps)
        ahead, behind = (second, first) if is_turned else (first, second)
        wins = sum(gap < 0 if is_turned else gap > 0 for gap in gaps)
        ours = {}
        for title, rows in columns.items():
            if ahead in rows and behind in rows:
                result = verdict(rows[ahead], rows[behind], published.metric, seed)
                word = OPEN if result.needed is None else SAME if sign * result.difference > 0 else OTHER
                ours[title] = word, f"{beside(result)}, {result.photos} photos"
        pairs.append(Pair(ahead, behind, f"{wins} of {len(gaps)}", ours))
    return pairs
