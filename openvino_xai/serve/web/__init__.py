"""A hooked model as a page that explains photos in the browser."""
