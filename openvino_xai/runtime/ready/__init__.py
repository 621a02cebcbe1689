"""From a model, hooked or not, to explanations of photos in one call."""
