"""The result a person holds: predictions, maps, and what was explained."""

from openvino_xai.explanation.classes import Explanation
from openvino_xai.explanation.heads import HeadsExplanation
from openvino_xai.explanation.match import Match
from openvino_xai.explanation.prediction import Contrast, Prediction

__all__ = ["Contrast", "Explanation", "HeadsExplanation", "Match", "Prediction"]
