"""Where a hook can go: the image, the scores, and the layers between."""

from openvino_xai.locate.located import Located, Location, Where, locate
from openvino_xai.locate.tokens import TokenHint

__all__ = ["Located", "Location", "TokenHint", "Where", "locate"]
