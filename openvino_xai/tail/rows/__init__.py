"""Rows of a detector behind a set of layers: which are explained, and their derivatives, window by window."""
