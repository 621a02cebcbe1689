"""Hooked models where they are served: repositories for model servers."""
