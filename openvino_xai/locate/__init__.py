"""Where a hook can go: the image, the scores, and the layers between."""

from openvino_xai.locate.attention_blocks import TokenHint
from openvino_xai.locate.located import Located, Location, Where, locate

__all__ = ["Located", "Location", "TokenHint", "Where", "locate"]
