"""What clients see: the names of a hooked model's inputs, outputs and record."""

from __future__ import annotations

MAP = "saliency_map"  # [B, K, H, W]; Model API reads it by this name
CLASS = "saliency_class"  # [B, K]: which classes the maps of `top:K` are of
GRADIENT = "gradient"  # of a model that is differentiated
GATE = "explain"  # an input [B], boolean: which images are explained
WANTED = "explain_class"  # an input [B], i64: the class that is explained of each image
RECORD = "ovxai"  # the section of a model's own data where its hook is described
