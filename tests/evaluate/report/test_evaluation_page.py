"""`ovxai evaluate --report`: what is drawn is what was measured, and a hostile name is text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from openvino_xai.evaluate.classes.causal import area
from openvino_xai.evaluate.classes.intervals import interval_of_curve, intervals_of_means
from openvino_xai.evaluate.report.page import MARK, check_page, write_page
from openvino_xai.evaluate.report.plots import Spread, _ticks, curve_plot, histograms
from openvino_xai.evaluate.report.series import MeanCurve, mean_curve, series_of
from openvino_xai.evaluate.report.traces import MOST, map_of, thinned

HOSTILE = (
    "</title><script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "two\r\nlines\u2028three",
    "\u202egnp.tac\u202c",
    "x" * 5_000,
    "@STYLE@ {0} %s",
    "\x1b[31m\x00\udcff&lt;b&gt;",
)
FACTS: dict[str, Any] = {"target": "label", "covered": "zero", "scaled": "minmax", "read": "probability", "compared": "cells"}
CURVES = ("--metric", "insertion", "--metric", "deletion")


class Page(HTMLParser):
    """The names of a page's tags, and the attributes that may load or run something."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.risky: list[tuple[str, str]] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.risky += [
            (name, value or "") for name, value in attrs if name.startswith("on") or name in ("src", "href", "style")
        ]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture
def ovxai(evaluate_colours: Callable[..., str]) -> Callable[..., str]:
    return evaluate_colours


def made_up(folder: Path, names: list[str], *, seed: int = 0) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of photos that are made up, and their result."""
    rng = np.random.default_rng(seed)
    rows = []
    for place, name in enumerate(names):
        path = folder / f"{place}.png"
        cv2.imwrite(str(path), rng.integers(0, 255, (8, 12, 3), np.uint8))
        curves = {
            metric: {source: rng.random(5).tolist() for source in ("", "gaussian")} for metric in ("insertion", "deletion")
        }
        of_source = {
            source: {metric: area(np.array(by_source[source])) for metric, by_source in curves.items()}
            for source in ("", "gaussian")
        }
        traced = {"map": "AP8A/w==", "cells": [2, 2], "box": [0, 0, 12, 8], "curves": curves}
        facts = {"image": str(folder / name) if name else str(path), "label": 0, "predicted": 1, "target": 0, "score": 0.5}
        rows.append({**facts, "metrics": of_source[""], "baselines": {"gaussian": of_source["gaussian"]}, "trace": traced})
    metrics = {"insertion": 0.5, "deletion": 0.5}
    result = {
        "method": "reciprocam",
        "model": "model.xml",
        "metrics": metrics,
        "intervals": {},
        "baselines": {"gaussian": {"metrics": metrics, "differences": {}}},
        "hook": {"method": "reciprocam"},
        "preprocessing": {},
        "step": None,
        "seed": 0,
        **FACTS,
    }
    return rows, result


@pytest.mark.slow
def test_a_page_of_a_run(ovxai: Callable[..., str]) -> None:
    plain = json.loads(ovxai(*CURVES, "--json"))
    result = json.loads(ovxai(*CURVES, "--json", "--report", "page.html", "--output", "scores"))
    assert result["metrics"] == plain["metrics"] and result["intervals"] == plain["intervals"]
    source = Path("page.html").read_text(encoding="utf-8")
    page = Page(source)
    assert not {"script", "iframe", "object"} & set(page.tags)
    assert all(value.startswith("data:") for _, value in page.risky)
    assert "http" not in re.sub(r'(http-equiv|src="data:[^"]*")', "", source)
    for value in result["metrics"].values():
        assert f"{value:.4f}" in page.texts
    assert page.tags.count("polygon") == 2 * 4  # a band of each kind of map, ten photos being enough for one
    rows = [json.loads(line) for line in Path("scores/rows.jsonl").read_text().splitlines()]
    for series, metrics in zip(
        series_of(rows, "m"), [result["metrics"], *(b["metrics"] for b in result["baselines"].values())], strict=True
    ):
        for name, curves in series.curves.items():
            drawn = mean_curve(curves, 0).mean
            assert area(drawn) == pytest.approx(metrics[name], abs=1e-5)  # curves are kept to six digits
    again = json.loads(ovxai(*CURVES, "--json", "--report", "page.html", "--output", "scores"))
    assert again["images_per_second"] is None  # our own page is replaced, from the rows alone


@pytest.mark.slow
def test_rows_of_an_engine_and_of_parquet(ovxai: Callable[..., str]) -> None:
    pytest.importorskip("pyarrow")
    ovxai("--metric", "sparsity", "--engine", "local", "--output", "o", "--report", "p.html", "--parquet", "--no-baselines")
    assert MARK in Path("p.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_wrong_names_are_refused_ahead(ovxai: Callable[..., str]) -> None:
    assert "does not end in .html" in ovxai("--report", "page.htm", status=2)
    Path("mine.html").write_text("<p>mine</p>")
    assert "mine.html is no report of evaluate" in ovxai("--report", "mine.html", status=2)
    assert Path("mine.html").read_text() == "<p>mine</p>"
    Path("link.html").symlink_to("mine.html")
    assert "no report of evaluate" in ovxai("--report", "link.html", status=2)
    Path("folder.html").mkdir()
    assert "is a folder" in ovxai("--report", "folder.html", status=2)


def test_few_photos_have_no_band(ovxai: Callable[..., str], tmp_path: Path) -> None:
    ovxai(*CURVES, "--report", "page.html", "--limit", "1")
    source = Path("page.html").read_text(encoding="utf-8")
    assert "<polygon" not in source and "no interval is told" in source


@pytest.mark.slow
def test_another_run_stands_beside(ovxai: Callable[..., str]) -> None:
    ovxai(*CURVES, "--report", "a.html", "--output", "a", "--method", "occlusion")
    words = (*CURVES, "--report", "both.html", "--output", "b", "--beside", "a")
    ovxai(*words)
    page = Page(source := Path("both.html").read_text(encoding="utf-8"))
    assert {"occlusion", "reciprocam"} <= set(page.texts) and page.tags.count("polygon") == 2 * 5
    other = json.loads(Path("a/metrics.json").read_text())["metrics"]
    assert all(f"{other[name]:.4f}" in source for name in ("insertion", "deletion", "difference"))
    gains = []
    for folder in "ab":
        rows = sorted(map(json.loads, Path(folder, "rows.jsonl").read_text().splitlines()), key=lambda row: row["image"])
        gains.append([row["metrics"]["insertion"] - row["metrics"]["deletion"] for row in rows])
    apart = np.abs(np.subtract(*gains))
    names = re.findall(r"<figcaption><b>(.*?)</b>", _parts(source, "The methods disagree most")[0])
    places = [2 * int(name.split("/")[0]) + int(name.split("/")[1][0]) for name in names]
    assert [apart[place] for place in places] == sorted(apart, reverse=True)[:6]
    lines = [json.loads(line) for line in Path("a/rows.jsonl").read_text().splitlines()]
    for spoil, said in (
        (lambda row: row["trace"].update(box=[0, 0, 0, 0]), "is not as evaluate wrote it"),
        (lambda row: row["trace"].update(map="????"), "is not as evaluate wrote it"),
        (lambda row: row["trace"]["curves"].pop("deletion"), "is not as evaluate wrote it"),
        (lambda row: row.update(target=4 - row["target"] or 3), "explain the same class"),
        (lambda row: row.update(source="x"), "measure the same photos there"),
        (lambda row: row["asked"].update(step=7), "were measured with step 7, and these are with None"),
        (lambda row: row.pop("trace"), "were measured without a report"),
    ):
        spoiled = json.loads(json.dumps(lines))
        for row in spoiled:
            spoil(row)
        Path("a/rows.jsonl").write_text("\n".join(map(json.dumps, spoiled)))
        assert said in ovxai(*words, status=2)
    for folder in ("none", "photos"):
        assert "metrics.json" in ovxai(*CURVES, "--report", "c.html", "--beside", folder, status=2)
    assert not Path("c.html").exists()
    assert "say where with --report" in ovxai("--beside", "a", status=2)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text(name: str, tmp_path: Path) -> None:
    rows, result = made_up(tmp_path, ["", name])
    result |= {"method": name, "model": f"{name}.xml", "hook": {"method": name, name: name}}
    conditions = {"targets": name}
    write_page(
        tmp_path / "p.html",
        rows,
        result,
        conditions=conditions,
        label=lambda _: name,
        command=name,
        others={f"other {name}": rows},
    )
    source = (tmp_path / "p.html").read_text(encoding="utf-8")
    plain_rows, plain_result = made_up(tmp_path, ["", "gone.png"])
    plain_result["hook"]["x"] = "x"
    write_page(
        tmp_path / "q.html",
        plain_rows,
        plain_result,
        conditions={"targets": "t"},
        label=lambda _: "cat",
        command="ovxai",
        others={"other": plain_rows},
    )
    page, plain = Page(source), Page((tmp_path / "q.html").read_text(encoding="utf-8"))
    assert page.tags == plain.tags  # whatever a name holds, it adds no element
    assert all(value.startswith("data:") for _, value in page.risky)
    assert "\u202e" not in source and "\u2028" not in source


def test_a_photo_that_is_gone_is_told(tmp_path: Path) -> None:
    rows, result = made_up(tmp_path, ["gone.png", ""])
    write_page(tmp_path / "p.html", rows, result, conditions={}, label=str)
    texts = " ".join(Page((tmp_path / "p.html").read_text(encoding="utf-8")).texts)
    assert "gone.png" in texts and "Best insertion less deletion" in texts


def test_best_and_worst_photos(tmp_path: Path) -> None:
    rows, result = made_up(tmp_path, [""] * 20)
    write_page(tmp_path / "p.html", rows, result, conditions={}, label=str)
    source = (tmp_path / "p.html").read_text(encoding="utf-8")
    gains = [row["metrics"]["insertion"] - row["metrics"]["deletion"] for row in rows]
    order = sorted(range(20), key=lambda place: -gains[place])
    best, worst = (re.findall(r"<figcaption><b>(\d+)\.png</b>", part) for part in _parts(source, "Best", "Worst"))
    assert list(map(int, best)) == order[:6] and list(map(int, worst)) == order[::-1][:6]
    behind = _parts(source, "A Gaussian")[0]
    for place in map(int, re.findall(r"<figcaption><b>(\d+)\.png</b>", behind)):
        other = rows[place]["baselines"]["gaussian"]
        assert gains[place] < other["insertion"] - other["deletion"]


def _parts(source: str, *heads: str) -> list[str]:
    return [source.split(f"<h2>{head}")[1].split("<h2>", maxsplit=1)[0] for head in heads]


def test_bands_are_the_bootstrap_of_each_point() -> None:
    curves = np.random.default_rng(0).random((12, 4))
    slow = intervals_of_means({str(place): curves[:, place] for place in range(4)}, seed=3)
    bounds = interval_of_curve(curves, seed=3)
    assert bounds is not None
    np.testing.assert_allclose(bounds, np.array([slow[str(place)] for place in range(4)]).T)
    assert interval_of_curve(curves[:9], seed=3) is None


def test_curves_are_drawn_where_they_are() -> None:
    """Read back from the picture, by its ticks: 0 and 1 are at the lower and the upper edge."""
    values = np.array([0.0, 1.0, 0.25])
    source = curve_plot([MeanCurve(values, None)], "c", size=(200, 100), axes=("a", "b"))
    points = [tuple(map(float, pair.split(","))) for pair in re.findall(r'polyline[^>]*points="([^"]*)"', source)[0].split()]
    (x0, low), (x1, high), (x2, last) = points
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert (low - last) / (low - high) == pytest.approx(0.25, abs=0.01)
    ticks = re.findall(r'tick end" x="[\d.]+" y="([\d.]+)">([\d.]+)<', source)
    assert [float(y) - 4 for y, _ in (ticks[0], ticks[-1])] == [low, high]


def test_histograms_count_all_photos() -> None:
    values = np.array([0.0, 0.0, 0.5, 1.0, 1.0, 1.0])
    source = histograms([Spread("a", values, 0.5, None), Spread("b", values * 0, 0, None)], "h")
    assert sum(map(int, re.findall(r"<rect.*?<title>(\d+)</title>", source))) == 12
    assert "NaN" not in histograms([Spread("a", np.zeros(3), 0, None)], "all alike")


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0), (-3.2, 7), (0.1, 0.1001), (0, 1e-9), (-1e6, 2e6)])
def test_ticks_hold_all_values(low: float, high: float) -> None:
    ticks = _ticks(low, high)
    assert 2 <= len(ticks) <= 7 and ticks[0] <= low + 1e-9 * abs(low) and ticks[-1] >= high - 1e-9 * abs(high)


def test_long_curves_are_thinned() -> None:
    scores = np.linspace(1, 0, 10_001) ** 2
    assert len(thinned(scores)) == MOST
    assert area(thinned(scores)) == pytest.approx(area(scores), abs=1e-4)
    np.testing.assert_array_equal(thinned(scores[:3]), scores[:3].round(6))


def test_a_map_comes_back() -> None:
    np.testing.assert_array_equal(map_of({"map": "AP8A/w==", "cells": [2, 2]}), [[0, 1], [0, 1]])


def test_a_page_is_checked(tmp_path: Path) -> None:
    (tmp_path / "ours.html").write_text(f"<html>{MARK}")
    check_page(tmp_path / "ours.html")
    check_page(tmp_path / "new.html")
