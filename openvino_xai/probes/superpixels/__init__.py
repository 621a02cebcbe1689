"""Probes that keep some superpixels of the image and cover the others: one a file, over one segmentation."""
