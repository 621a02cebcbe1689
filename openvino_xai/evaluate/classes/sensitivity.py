"""How far a map moves when the image hardly does.

Yeh et al., "On the (in)fidelity and sensitivity of explanations", 2019, equation 7, by random search.
"""

from __future__ import annotations

import numpy as np

from openvino_xai.evaluate.classes.case import Case
from openvino_xai.probes.classifier import unit
from openvino_xai.render.overlay import stretch

RADIUS = 0.02  # of the noise, on the scale that the network sees
SAMPLES = 10


def sensitivity(case: Case) -> float:
    """The largest of 10 distances between the map and the map under uniform noise, over the map's norm; 0 is best."""
    rng = np.random.default_rng(case.choices.seed)
    noise = rng.uniform(-RADIUS, RADIUS, (SAMPLES, *case.image.shape[1:])).astype(np.float32)
    _, maps = case.network.maps(case.image + noise, [case.target] * SAMPLES)
    reference = stretch(case.saliency)
    norm = float(np.linalg.norm(reference))
    far = float(np.linalg.norm((unit(case.checked(maps, "map")) - reference).reshape(SAMPLES, -1), axis=1).max())
    return far / norm if norm else 0.0
