"""Explanations of a detector's boxes, measured."""
