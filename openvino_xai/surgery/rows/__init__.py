"""Hooks in detectors: what is explained is a few of their rows."""
