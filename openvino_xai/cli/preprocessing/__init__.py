"""What a model is fed: the options that say so, and the ranking of presets by examples."""
