"""What models tell beside scores of classes: where it is read."""
