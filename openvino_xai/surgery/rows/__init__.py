"""Hooks in detectors: their layers listed, and one inserted."""
