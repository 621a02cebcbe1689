"""Detectors: their boxes, or where they see each class."""
