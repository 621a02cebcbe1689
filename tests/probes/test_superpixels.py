"""LIME and KernelSHAP over superpixels, against loops straight from their papers and games whose values are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from slow_superpixels import slow_lime, slow_shapley, slow_slic

from openvino_xai.errors import InputError
from openvino_xai.probes import PROBES, Settings
from openvino_xai.probes.superpixels import coalitions, kernel_shap
from openvino_xai.probes.superpixels.coalitions import Coalitions
from openvino_xai.probes.superpixels.kernel_shap import shapley_values
from openvino_xai.probes.superpixels.slic import superpixels


class Game:
    """A model of images of M pixels in one row, each a superpixel of its own: it sees which are left."""

    def __init__(self, count: int, value: Callable[[np.ndarray], float], batch: int = 7) -> None:
        self.count, self.value, self.batch = count, value, batch
        self.questions = 0

    def scores(self, images: np.ndarray) -> np.ndarray:
        self.questions += len(images)
        return np.array([[0.5, self.value(image[0, 0] != 0)] for image in images])

    def coalitions(self, **settings: int) -> Coalitions:
        image = np.ones((1, 1, 1, self.count), np.float32)
        return Coalitions(self, image, [0, 1], Settings(**settings), np.arange(self.count)[None])


def knotty(count: int, seed: int = 0) -> Callable[[np.ndarray], float]:
    """A score of which no two coalitions have the same, whatever their size."""
    table = np.random.default_rng(seed).normal(size=2**count)
    return lambda mask: float(table[int(mask @ 2 ** np.arange(count))])


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_kernel_shap_of_few_superpixels_is_exact(count: int) -> None:
    """By all orders in which superpixels may come, of which the regression knows nothing."""
    game = Game(count, knotty(count))
    values = shapley_values(game.coalitions(masks=100))
    assert game.questions == 2**count
    np.testing.assert_allclose(values[:, 1], slow_shapley(game.value, count), rtol=0, atol=1e-10)
    np.testing.assert_allclose(values[:, 0], 0, atol=1e-12)


def test_a_wrong_kernel_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_shap, "weights", lambda mask: np.ones(len(mask)))
    game = Game(5, knotty(5))
    values = shapley_values(game.coalitions(masks=100))
    assert np.abs(values[:, 1] - slow_shapley(game.value, 5)).max() > 1e-3


def test_kernel_shap_that_draws_comes_near() -> None:
    """Exact where superpixels do nothing together; else the nearer, the more is drawn; and they add up."""
    weights = np.random.default_rng(2).normal(size=12)
    alone = shapley_values(Game(12, lambda mask: float(weights @ mask)).coalitions(masks=60, seed=3))
    np.testing.assert_allclose(alone[:, 1], weights, rtol=0, atol=1e-10)
    game = Game(8, knotty(8))
    true, errors = slow_shapley_by_sizes(game), []
    for masks in (50, 250, 254):
        values = shapley_values(game.coalitions(masks=masks, seed=1))[:, 1]
        everything = np.ones(8, bool)
        assert values.sum() == pytest.approx(game.value(everything) - game.value(~everything), abs=1e-10)
        errors.append(np.abs(values - true).max())
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-10, errors


def slow_shapley_by_sizes(game: Game) -> np.ndarray:
    """[M]: the mean over sizes of the mean over coalitions of that size of what a superpixel adds."""
    gains: dict[tuple[int, int], list[float]] = {}
    for number in range(2**game.count):
        mask = np.array([number >> bit & 1 for bit in range(game.count)], bool)
        for superpixel in np.flatnonzero(~mask):
            more = mask.copy()
            more[superpixel] = True
            gains.setdefault((int(superpixel), int(mask.sum())), []).append(game.value(more) - game.value(mask))
    return np.array([np.mean([np.mean(gains[at, size]) for size in range(game.count)]) for at in range(game.count)])


def test_what_is_drawn_does_not_depend_on_the_batch() -> None:
    settings = Settings(masks=60, segments=9)
    for method in ("lime", "kernel_shap"):
        maps = [PROBES[method].ask(Photo(batch), IMAGE, [1], settings) for batch in (1, 16, 100)]  # type: ignore[arg-type]
        np.testing.assert_allclose(maps[0], maps[1], rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(maps[0], maps[2], rtol=1e-5, atol=1e-8)


IMAGE = np.random.default_rng(4).uniform(0.2, 1, (1, 3, 18, 24)).astype(np.float32)
PLACE = np.s_[:, 3:12, 10:18]


class Photo:
    """A model that sees one part of a photo: the brighter, the more of class 1; a square, so that parts act together."""

    def __init__(self, batch: int = 5) -> None:
        self.batch = batch

    def scores(self, images: np.ndarray) -> np.ndarray:
        bright = np.array([float(image[PLACE].astype(np.float64).mean()) for image in images])
        return np.stack([1 - bright**2, bright**2], axis=1)


def kept_scores(labels: np.ndarray, k: int) -> Callable[[np.ndarray], float]:
    return lambda mask: float(Photo().scores((IMAGE[0] * mask[labels])[None])[0, k])


@pytest.mark.slow
@pytest.mark.parametrize("segments", [1, 4, 9, 20])
def test_lime_is_what_the_paper_says(segments: int) -> None:
    labels = slow_slic(IMAGE[0], segments)
    settings = Settings(seed=3, masks=80, segments=segments)
    maps = PROBES["lime"].ask(Photo(), IMAGE, [1, 0], settings)  # type: ignore[arg-type]
    for k, saliency in zip((1, 0), maps, strict=True):
        true = slow_lime(kept_scores(labels, k), labels.max() + 1, 80, 3)[labels]
        np.testing.assert_allclose(saliency, true, rtol=0, atol=1e-6 * np.abs(true).max())


@pytest.mark.slow
def test_another_distance_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from openvino_xai.probes.superpixels import lime

    monkeypatch.setattr(lime, "WIDTH", 0.5)
    settings = Settings(seed=3, masks=80, segments=9)
    (saliency,) = PROBES["lime"].ask(Photo(), IMAGE, [1], settings)  # type: ignore[arg-type]
    labels = slow_slic(IMAGE[0], 9)
    true = slow_lime(kept_scores(labels, 1), labels.max() + 1, 80, 3)[labels]
    assert np.abs(saliency - true).max() > 1e-4 * np.abs(true).max()


@pytest.mark.parametrize("method", ["lime", "kernel_shap"])
def test_the_map_is_where_the_model_looks(method: str) -> None:
    (saliency,) = PROBES[method].ask(Photo(), IMAGE, [1], Settings(masks=600, segments=40))  # type: ignore[arg-type]
    inside = np.zeros(saliency.shape, bool)
    inside[PLACE[1:]] = True
    assert saliency[inside].mean() > 5 * abs(saliency[~inside].mean())


@pytest.mark.parametrize(
    ("shape", "count"), [((3, 12, 15), 6), ((1, 9, 9), 4), ((3, 1, 1), 5), ((2, 1, 30), 7), ((3, 40, 2), 3), ((3, 7, 5), 100)]
)
def test_superpixels_are_slics(shape: tuple[int, int, int], count: int) -> None:
    """Of smooth noise, whose superpixels bend, and come in pieces here and there."""
    rng = np.random.default_rng(count)
    image = (rng.normal(size=shape) + np.indices(shape)[1:].sum(axis=0) % 5).astype(np.float32)
    labels = superpixels(image[None], count)
    np.testing.assert_array_equal(labels, slow_slic(image, count) if image.size > 3 else 0)
    assert set(labels.ravel()) == set(range(labels.max() + 1))


def test_superpixels_follow_edges_and_are_as_many_as_asked() -> None:
    """A square of another colour is never shared between superpixels, and a constant image is a grid."""
    image = np.zeros((1, 3, 60, 80), np.float32)
    image[:, :, 13:41, 22:55] = [[[1]], [[0.5]], [[0.2]]]
    labels, inside = superpixels(image, 30), image[0, 0] > 0
    assert not set(labels[inside]) & set(labels[~inside])
    assert 20 <= labels.max() + 1 <= 35
    grid = superpixels(np.full((1, 3, 60, 80), 0.3, np.float32), 48)
    assert set(np.bincount(grid.ravel())) == {100}


def test_numbers_that_tell_too_little_are_refused() -> None:
    with pytest.raises(InputError, match=r"masks is 8, which tells too little of \d+ superpixels: as many masks at least, or"):
        PROBES["lime"].ask(Photo(), IMAGE, [1], Settings(masks=8, segments=20))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="segments is 0; 1 or more is expected"):
        Settings(segments=0)
    with pytest.raises(InputError, match="segments is 1001; 1000 or fewer are expected"):
        Settings(segments=1001)
    with pytest.raises(InputError, match="segments is True; a whole number is expected"):
        Settings(segments=True)


def test_progress_is_told() -> None:
    steps: list[tuple[int, int]] = []
    settings = Settings(masks=12, segments=4, progress=lambda *step: steps.append(step))
    for method in ("lime", "kernel_shap"):
        PROBES[method].ask(Photo(), IMAGE, [1], settings)  # type: ignore[arg-type]
    assert steps == [(5, 12), (10, 12), (12, 12)] * 2
    assert coalitions.Coalitions.of(Photo(), IMAGE, [1], settings).count == 4


def test_lime_is_that_of_its_package() -> None:
    """The regression of the authors' package, from the same masks and scores."""
    package = pytest.importorskip("lime.lime_base", reason="lime is not installed: an optional check")
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    mask = np.stack([np.ones(9, bool), *(rng.random(9) < 0.5 for _ in range(79))])
    labels = slow_slic(IMAGE[0], 9)
    scores = np.stack([Photo().scores((IMAGE[0] * z[labels])[None])[0] for z in mask])
    distances = metrics.pairwise_distances(mask.astype(float), np.ones((1, 9)), metric="cosine").ravel()
    base = package.LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 0.25**2)))
    _, pairs, _, _ = base.explain_instance_with_data(mask.astype(float), scores, distances, 1, 9, feature_selection="none")
    settings = Settings(seed=3, masks=80, segments=9)
    (saliency,) = PROBES["lime"].ask(Photo(), IMAGE, [1], settings)  # type: ignore[arg-type]
    np.testing.assert_allclose(saliency, np.array([weight for _, weight in sorted(pairs)])[labels], rtol=0, atol=1e-6)


def test_kernel_shap_is_that_of_its_package() -> None:
    shap = pytest.importorskip("shap", reason="shap is not installed: an optional check")
    game = Game(6, knotty(6))
    explainer = shap.KernelExplainer(lambda rows: np.array([game.value(row > 0) for row in rows]), np.zeros((1, 6)))
    theirs = explainer.shap_values(np.ones((1, 6)), nsamples=64, silent=True, l1_reg=False)[0]
    np.testing.assert_allclose(shapley_values(game.coalitions(masks=100))[:, 1], theirs, atol=1e-8)
