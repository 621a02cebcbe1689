"""What methods say of noisy copies of an image."""
