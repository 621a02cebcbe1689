"""Where the numbers of a detector's outputs come from."""
