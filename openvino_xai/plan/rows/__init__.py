"""Hooks in detectors, decided and planned: what is explained is a few of their rows."""
