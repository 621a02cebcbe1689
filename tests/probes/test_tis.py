"""TIS: tokens that are dropped are gone, as in a network that was never given them, or the probe refuses the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from attention import in_one_operation
from slow_tis import entering, probability, slow_clusters, slow_tis
from tiny import CASES, CLASSES, DIALECTS, images, in_dialect
from tiny_transformers import CELLS, HEIGHT, VARIANTS, WIDTH, Transformer

import openvino_xai as xai
from openvino_xai.errors import LayerError, PlanError, VerificationError
from openvino_xai.probes import Settings
from openvino_xai.probes.tis import cluster_centres, token_masks
from openvino_xai.tail.attention import dropped

SETTINGS = Settings(masks=6, seed=2)
WRITTEN = ("fused", "split", "tokens first", "positions turn", "positions bias", "norm behind", "registers", "softmax inside")


def probed(model: Any, **options: Any) -> Any:
    return xai.probe(model, "tis", settings=SETTINGS, **options)


def slowly(variant: Transformer, image: np.ndarray, k: int) -> np.ndarray:
    ends = entering(variant, image, [f"x{block + 1}" for block in range(variant.repeats)])
    vectors = [channel for tokens in ends for channel in tokens[variant.prefix :].T.astype(np.float64)]
    order = np.random.default_rng(SETTINGS.seed).permutation(len(vectors))
    centres = slow_clusters(vectors, [np.unique(vectors, axis=0)[place] for place in order[: SETTINGS.masks]])
    return slow_tis(lambda patches: probability(variant, image, patches, k), centres).reshape(HEIGHT, WIDTH)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", WRITTEN)
def test_it_is_the_mean_score_of_networks_with_fewer_tokens(name: str, dialect: str) -> None:
    variant = VARIANTS[name]
    image = images(variant.build(1), 1, seed=4)
    probabilities, saliency = probed(in_dialect(variant.build("B"), dialect)).maps(image, [1])
    true = slowly(variant, image[0], 1)
    assert probabilities[0, 1] == pytest.approx(probability(variant, image[0], range(CELLS), 1), abs=1e-5)
    assert np.ptp(true) > 5e-4
    np.testing.assert_allclose(saliency[0], true, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 4])
def test_attention_in_one_operation_and_a_batch_that_is_fixed(batch: int) -> None:
    variant = VARIANTS["fused"]
    image = images(variant.build(1), 1, seed=4)
    true = slowly(variant, image[0], 1)
    for model in (variant.build(batch), in_one_operation(variant, batch)):
        np.testing.assert_allclose(probed(model).maps(image, [1])[1][0], true, rtol=0, atol=1e-5)


def test_each_mask_drops_its_own_tokens() -> None:
    """Of masks in one run each is a row: none sees another's."""
    variant, image = VARIANTS["fused"], images(VARIANTS["fused"].build(1), 1)
    masks = np.random.default_rng(1).random((3, HEIGHT, WIDTH)) < 0.6
    scores = probed(variant.build("B"))._classifier.token_scores(image, masks)
    true = [[probability(variant, image[0], np.flatnonzero(some), k) for k in range(CLASSES)] for some in masks]
    np.testing.assert_allclose(scores, true, atol=1e-5)
    assert np.ptp(scores, axis=0).max() > 1e-3


def leaking(*ends: str) -> onnx.ModelProto:
    """A transformer that adds the mean of all tokens to each, behind blocks with these `ends`."""
    model = VARIANTS["fused"].build("B")
    for end in ends:
        at = next(index for index, node in enumerate(model.graph.node) if end in node.output)
        model.graph.node[at].output[0] = f"{end}_alone"
        mean = onnx.helper.make_node("ReduceMean", [f"{end}_alone"], [f"{end}_mean"], axes=[1], keepdims=1)
        model.graph.node.insert(at + 1, mean)
        model.graph.node.insert(at + 2, onnx.helper.make_node("Add", [f"{end}_alone", f"{end}_mean"], [end]))
    return model


def test_a_network_whose_tokens_meet_elsewhere_is_refused() -> None:
    with pytest.raises(VerificationError, match="depend on tokens that are dropped, in a way that is no attention: by"):
        probed(leaking("x1", "x2"))
    with pytest.raises(PlanError, match="the one at 'x1' is not built as the first"):
        probed(leaking("x1"))


def test_a_block_that_is_left_alone_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check ahead of every map: with one block that attends to all tokens, scores depend on those that are dropped."""
    original = dropped.Encoder.without

    def forgetful(self: Any, *args: Any) -> Any:
        splices = original(self, *args)
        return dict(list(splices.items())[1:])

    with monkeypatch.context() as broken:
        broken.setattr(dropped.Encoder, "without", forgetful)
        with pytest.raises(VerificationError, match="tis drops tokens, and the scores depend on tokens that are dropped"):
            probed(VARIANTS["fused"].build("B"))
    original_keys = dropped.without_keys
    monkeypatch.setattr(dropped, "without_keys", lambda xp, logits, *rest: original_keys(xp, xp.multiply(logits, 1.1), *rest))
    with pytest.raises(VerificationError, match="the scores differ though no token is dropped"):
        probed(VARIANTS["fused"].build("B"))


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (
            CASES["pool and linear"].build("B", 17),
            {},
            LayerError,
            "tis follows the class token through attention blocks, and none",
        ),
        (VARIANTS["mean of patches"].build("B"), {}, PlanError, "reads the patches behind the last block, and no class token"),
        (VARIANTS["one block"].build("B"), {}, PlanError, "tis reads the tokens behind each block, and 'z_0' is the only one"),
        (VARIANTS["fused"].build("B"), {"layer": "no\n'such'"}, LayerError, "tis looks at all attention blocks: leave layer"),
        (VARIANTS["fused"].build("B"), {"token_grid": "5x5"}, LayerError, "tis looks at all attention blocks, and of 'z_"),
    ],
)
def test_what_it_cannot_do_is_refused(model: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        probed(model, **options)


def test_a_contrast_is_a_difference_of_maps() -> None:
    network, image = probed(VARIANTS["fused"].build("B")), images(VARIANTS["fused"].build(1), 1)
    first, second, contrast = (network.maps(image, [k])[1][0] for k in (1, 2, (1, 2)))
    np.testing.assert_allclose(contrast, first - second, atol=1e-6)
    assert np.abs(contrast).max() > 1e-3


def test_half_of_the_tokens_are_kept() -> None:
    centres = np.array([[3.0, 1, 2, 0, 5], [1, 1, 1, 1, 0]])
    assert token_masks(centres).tolist() == [[True, False, False, False, True], [True, True, False, False, False]]


def test_clusters_are_those_of_k_means() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 1, (40, 5)) + 4 * rng.integers(0, 3, (40, 1))
    start = np.unique(vectors, axis=0)[np.random.default_rng(7).permutation(40)[:6]]
    np.testing.assert_allclose(cluster_centres(vectors, 6, seed=7), slow_clusters(list(vectors), list(start)), atol=1e-12)
    alike = np.repeat(vectors[:3], 5, axis=0)
    assert len(cluster_centres(alike, 1024, seed=0)) == 3  # no more than vectors that differ


def test_photos_of_any_size_and_a_seed() -> None:
    network = probed(VARIANTS["fused"].build("B"))
    for size in ((1, 1), (3, 900)):
        photo = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
        maps = [network.explain(photo, targets=[1]).maps for _ in range(2)]
        assert np.isfinite(maps[0]).all()
        np.testing.assert_array_equal(*maps)
