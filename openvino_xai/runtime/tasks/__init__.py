"""Networks whose hooks explain something else than classes of images, and no boxes."""
