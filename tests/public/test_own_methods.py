"""Methods of one's own: registered, verified as any, found in packages, and refused where they are not what a method is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import CASES, DIALECTS, in_dialect

import openvino_xai as xai
from openvino_xai.errors import InputError, ModelError, PlanError, VerificationError
from openvino_xai.hooks import METHODS, Method
from openvino_xai.hooks.registry import Registry
from openvino_xai.probes import PROBES, Probe

ROOT = Path(__file__).parents[2]
MODEL = CASES["pool and linear"].build("B", 17)
PHOTO = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def unregistered() -> Iterator[None]:
    """What a test registers is gone after it."""
    yield
    for table in (METHODS, PROBES):
        for name in table.added:
            dict.pop(table, name)
        table.added.clear()


def evidence(xp: Any, site: Any) -> Any:
    """What each cell adds to the logit."""
    cells = site.cells()
    batch, count, channels = cells.shape
    products = xp.multiply(xp.reshape(cells, (batch, 1, count, channels)), site.gradients())
    return xp.permute_dims(xp.sum(products, axis=3), (0, 2, 1))


def energy(xp: Any, site: Any) -> Any:
    """The mean of squares."""
    return xp.mean(xp.multiply(site.cells(), site.cells()), axis=2, keepdims=True)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_hook_is_inserted_and_verified(dialect: str, tmp_path: Path) -> None:
    method = xai.register_method("evidence", evidence, score="logit", gradients=True)
    assert method == "evidence" and isinstance(method, xai.OwnMethod)
    model = in_dialect(MODEL, dialect)
    hooked = xai.insert(model, method=method, targets="top:2", layer="f", scale="none")
    reference = xai.insert(model, method="hires_cam", targets="top:2", layer="f", scale="none")
    assert hooked.verified is not None
    ours, theirs = (xai.load(item).explain(PHOTO, targets="top:2").maps for item in (hooked, reference))
    np.testing.assert_allclose(np.maximum(ours, 0), theirs, atol=1e-6)
    assert (ours < 0).any()
    path = hooked.save(tmp_path / f"own{hooked.deployed.suffix}")
    METHODS.added.clear()
    dict.pop(METHODS, "evidence")
    np.testing.assert_array_equal(xai.load(path).explain(PHOTO, targets="top:2").maps, ours)  # the file needs no hook
    assert xai.load(path).record["registered"] == "yes"


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_map_of_no_class(dialect: str) -> None:
    xai.register_method("energy", energy, score="none")
    explanation = xai.explain(in_dialect(MODEL, dialect), PHOTO, "all", method=xai.OwnMethod("energy"))
    assert len(explanation.maps) == 5
    assert (explanation.maps == explanation.maps[0]).all()
    assert explanation.record["score"] == "none"


@pytest.mark.slow
def test_a_hook_is_held_to_itself() -> None:
    """What is planned and what NumPy computes has to be the same, and so has to be all that the hook asks."""
    calls = []

    def moody(xp: Any, site: Any) -> Any:
        calls.append(xp)
        return xp.multiply(energy(xp, site), float(len(calls)))

    xai.register_method("moody", moody, score="none")
    with pytest.raises(VerificationError, match="differ from their definition"):
        xai.insert(MODEL, method=xai.OwnMethod("moody"), scale="none")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hook", "match"),
    [
        (lambda xp, site: np.sqrt(site.cells()), "fails: TypeError.*and not with NumPy"),
        (lambda xp, site: xp.sqroot(site.cells()), "fails: AttributeError"),
        (lambda xp, site: site.cells(1, 2), "fails: TypeError"),
        (lambda xp, site: None, "returns NoneType"),
        (lambda xp, site: xp.mean(site.cells(), axis=2), r"returns shape .*\[B, N, K\]"),
        (lambda xp, site: xp.mean(site.cells(), axis=1, keepdims=True), "returns .* with N = 48 cells"),
        (lambda xp, site: site.cells().shape[9], "fails: IndexError"),
        (lambda: 3, "fails: TypeError"),
    ],
)
def test_a_hook_that_is_none_is_refused(hook: Any, match: str) -> None:
    xai.register_method("wrong", hook)
    with pytest.raises(PlanError, match=f"the method 'wrong', which was registered, {match}"):
        xai.insert(MODEL, method=xai.OwnMethod("wrong"))


def test_names_that_are_taken_or_none() -> None:
    for name in ("grad_cam", "class_map", "rise", "d_rise"):
        with pytest.raises(InputError, match=f"there is a method '{name}' already"):
            xai.register_method(name, energy)
        with pytest.raises(InputError, match=f"there is a method '{name}' already"):
            xai.register_probe(name, energy, replace=True)  # type: ignore[arg-type]
    for bad in ("", "Energy", "1st", "a-b", "a" * 61, "a\n", None, 3):
        with pytest.raises(InputError, match="small letters, digits"):
            xai.register_method(bad, energy)  # type: ignore[arg-type]
    for hook in (None, "energy", 3, int):
        with pytest.raises(InputError, match="a function of"):
            xai.register_method("energy", hook)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="did you mean 'logit'"):
        xai.register_method("energy", energy, score="logits")  # type: ignore[arg-type]
    xai.register_method("energy", energy)
    with pytest.raises(InputError, match="already"):
        xai.register_method("energy", energy)
    xai.register_method("energy", evidence, score="logit", replace=True)
    assert METHODS["energy"].score == "logit"
    rows = [row for row in xai.methods() if row.name == "energy"]
    assert [row.summary for row in rows] == ["What each cell adds to the logit."]


@pytest.mark.slow
def test_a_replaced_hook_is_not_kept(tmp_path: Path) -> None:
    import onnx

    onnx.save(MODEL, tmp_path / "model.onnx")
    name = xai.register_method("mine", energy, score="none")
    first = xai.explain(tmp_path / "model.onnx", PHOTO, method=name).maps
    xai.register_method("mine", lambda xp, site: xp.mean(site.cells(), axis=2, keepdims=True), score="none", replace=True)
    assert not np.array_equal(xai.explain(tmp_path / "model.onnx", PHOTO, method=name).maps, first)


def test_a_record_of_a_hook_that_nobody_registered_is_believed_no_further(tmp_path: Path) -> None:
    """Only a record that says so may name a method that is not known here."""
    from openvino_xai.contract import check_entries

    record = {"method": "mine", "layer": "f", "scores": "logits", "targets": "all"}
    with pytest.raises(ModelError, match="'method' is 'mine'"):
        check_entries(record)
    check_entries(record | {"registered": "yes"})
    for wrong in ({"registered": "no"}, {"registered": "yes", "method": "Mine\n"}):
        with pytest.raises(ModelError, match="not true"):
            check_entries(record | wrong)


def halves(model: Any, image: np.ndarray, classes: Any, settings: Any) -> np.ndarray:
    """What the class loses where a half is covered."""
    left = image.copy()
    left[..., : image.shape[3] // 2] = 0
    lost = (model.scores(image) - model.scores(left))[0, list(classes)]
    return np.stack([[[value, 0]] for value in lost])


@pytest.mark.slow
def test_a_probe_is_asked(tmp_path: Path) -> None:
    name = xai.register_probe("halves", halves)
    explanation = xai.explain(MODEL, PHOTO, "all", method=name, seed=3)  # settings are the probe's to read
    assert explanation.maps.shape == (5, 1, 2)
    assert xai.methods(kind="probe").names[-2:] == ("halves", "d_rise")
    xai.register_probe("looking", lambda m, image, ks, s: m.features(image)[:, 0].repeat(len(ks), 0), looks_at="layer")
    assert xai.explain(MODEL, PHOTO, method=xai.OwnMethod("looking"), layer="f").maps.shape == (1, 6, 8)
    for probe, match in (
        (lambda m, image, ks, s: np.zeros((3, 2, 2)), r"returns float64 \[3, 2, 2\]"),
        (lambda m, image, ks, s: np.full((len(ks), 2, 2), np.nan), "finite"),
        (lambda m, image, ks, s: None, "returns object"),
    ):
        xai.register_probe("bad", probe, replace="bad" in PROBES)
        with pytest.raises(InputError, match=match):
            xai.explain(MODEL, PHOTO, method=xai.OwnMethod("bad"))


class Point:
    """An entry point, as of an installed package."""

    dist = None

    def __init__(self, name: str, item: Any) -> None:
        self.name, self.value, self._item = name, f"package:{name}", item

    def load(self) -> Any:
        if isinstance(self._item, Exception):
            raise self._item
        return self._item


def test_packages_announce_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        "ovxai.methods": [Point("energy", energy), Point("evidence", Method(evidence, "nothing", "logit", gradients=True))],
        "ovxai.probes": [Point("halves", halves), Point("deep", Probe(halves, "layer"))],
    }
    asked_for: list[str] = []

    def announced(*, group: str) -> list[Point]:
        asked_for.append(group)
        return points[group]

    monkeypatch.setattr("openvino_xai.hooks.registry.entry_points", announced)
    for table in (METHODS, PROBES):
        monkeypatch.setattr(table, "_is_complete", False)
    assert "grad_cam" in METHODS and METHODS["cam"] and not asked_for  # what is here loads nothing
    assert "energy" in METHODS and METHODS["evidence"].score == "logit"
    assert PROBES["deep"].looks_at == "layer" and "halves" in PROBES
    assert asked_for == ["ovxai.methods", "ovxai.probes"]  # once
    assert {"energy", "evidence", "halves", "deep"} <= set(xai.methods().names)


def test_a_broken_package_takes_nothing_with_it() -> None:
    table: Registry[Any] = Registry({"cam": 1}, "group", lambda name, item: item)
    with pytest.warns(UserWarning, match="package") as caught:  # noqa: PT031 - of each a warning
        for point in (Point("cam", 2), Point("broken", ImportError("no")), Point("odd", SystemError("no")), Point("fine", 3)):
            table._add_point(point)  # type: ignore[arg-type]
    assert [str(warning.message) for warning in caught] == [
        "the method 'cam' of package:cam (no package) has the name of another, and is left out",
        "the method 'broken' of package:broken (no package) cannot be loaded: ImportError: no",
        "the method 'odd' of package:odd (no package) cannot be loaded: SystemError: no",
    ]
    assert dict.keys(table) == {"cam", "fine"} and table["cam"] == 1


@pytest.mark.slow
def test_an_installed_package_is_found(tmp_path: Path) -> None:
    (tmp_path / "my_package.py").write_text(
        "def energy(xp, site):\n    return xp.mean(xp.multiply(site.cells(), site.cells()), axis=2, keepdims=True)\n"
    )
    folder = tmp_path / "my_package-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[ovxai.methods]\nenergy = my_package:energy\nlost = my_package:nothing\n")
    model = ROOT / "samples" / "models" / "efficientnet_lite0.xml"
    code = (
        f"import openvino_xai as xai; print(xai.insert({str(model)!r}, method='energy').record['method'], *xai.methods().names)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": f"{ROOT}:{tmp_path}"}, check=True)
    assert run.stdout.split().count("energy") == 2


@pytest.mark.slow
def test_photos_are_predicted_as_they_are_explained() -> None:
    network = xai.load(MODEL)
    photos = np.stack([np.roll(PHOTO, shift, axis=0) for shift in range(20)])
    expected = np.concatenate([network.predict(network.prepare(photo)) for photo in photos])
    np.testing.assert_allclose(network.predict_photos(photos), expected, atol=1e-12)
    np.testing.assert_allclose(network.predict_photos(list(photos / 255)), expected, atol=1e-12)
    np.testing.assert_allclose(
        network.predict_photos(photos, logits=True),
        network.predict(np.concatenate([network.prepare(p) for p in photos]), logits=True),
        atol=1e-5,
    )
    assert network.predict_photos([photos[0]]).shape == (1, 5)
