"""The attention of all blocks: how much each token attends to each other."""
