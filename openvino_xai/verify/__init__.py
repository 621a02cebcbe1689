"""Hooked models held to their definition, by running."""
