"""What a hook will compute: decided, planned before a node is emitted, then emitted in the model's dialect."""
