"""The process that a command runs in, and its limits."""
