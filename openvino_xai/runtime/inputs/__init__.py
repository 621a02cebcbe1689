"""What a model is fed: presets of preprocessing, and what makes one doubt that it is the right one."""
