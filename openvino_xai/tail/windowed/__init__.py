"""Masked cells whose masks reach a window of a value: what stands in the window, and the same rest beyond it."""
