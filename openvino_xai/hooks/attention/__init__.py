"""Methods that read the attention of every block of a vision transformer with a class token, one a file."""
