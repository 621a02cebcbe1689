"""What was measured of a classifier's explanations, as one page that needs nothing else."""
