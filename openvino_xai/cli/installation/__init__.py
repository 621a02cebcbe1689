"""What to install beside this package."""
