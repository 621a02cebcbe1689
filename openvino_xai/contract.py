"""What clients see: the names of a hooked model's inputs, outputs and record."""

from __future__ import annotations

MAP = "saliency_map"  # [B, K, H, W]; Model API reads it by this name
CLASS = "saliency_class"  # [B, K]: which classes the maps of `top:K` are of
INDEX = "saliency_index"  # [B, D], i64: which rows of a detector's own output the maps are of; -1 where there are fewer
BOX = "saliency_box"  # [B, D, 4]: x0 y0 x1 y1 of these rows, in pixels of the model's input
SCORE = "saliency_score"  # [B, D]: their probabilities
GRADIENT = "gradient"  # of a model that is differentiated
GATE = "explain"  # an input [B], boolean: which images are explained
WANTED = "explain_class"  # an input [B], i64: the class that is explained of each image
WANTED_INDEX = "explain_index"  # an input [B, D], i64: the rows of a detector that are explained of each image
RECORD = "ovxai"  # the section of a model's own data where its hook is described
