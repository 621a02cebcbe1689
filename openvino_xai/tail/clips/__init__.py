"""Clips whose frames go through a network of images: the tail up to where frames meet, and from there on."""
