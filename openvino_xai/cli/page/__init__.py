"""The command that opens the page, and the command lines that the page shows."""
