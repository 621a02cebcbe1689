"""Masked tokens of which the scores read some alone, as the class token."""
