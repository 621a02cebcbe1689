"""Probes that weigh the channels of a layer, and ask the model about images or features that these mask: one a file."""
