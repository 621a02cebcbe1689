"""Where a hook can go: the image, the scores, and the layers between."""
