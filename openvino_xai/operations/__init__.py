"""What operations do: one family a file, and what is asked of all of them."""
