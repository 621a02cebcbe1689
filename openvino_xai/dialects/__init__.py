"""Graph languages that models come in, and hooks are emitted in."""
