"""What probes ask: a deployed model as it is, at a layer, differentiated, or without some of its tokens."""
