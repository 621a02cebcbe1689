"""The part of the image that a network looks at, where it crops the image, or lays it on a canvas, and maps of that part."""
