"""Methods that weigh a layer by the gradient of a score."""
