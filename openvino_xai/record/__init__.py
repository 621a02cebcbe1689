"""The record of a hook in a model: read as a claim that is held to the model, and taken off with its hook."""
