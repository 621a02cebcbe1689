"""The explanations of classifiers, measured: the metrics of the literature, on one photo at a time."""
