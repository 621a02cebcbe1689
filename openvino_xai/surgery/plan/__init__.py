"""What a hook will compute, planned before a node is emitted."""
