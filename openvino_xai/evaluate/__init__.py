"""Explanations measured: how alike two are, and how much they tell."""
