"""Files and folders: reading what others wrote, and writing whole or not at all."""
