"""What `scripts/gpu.py` measures: where models run, whether they do, what is right there, and what it takes."""
