"""One server a file: what it reads, and how a client asks it."""
