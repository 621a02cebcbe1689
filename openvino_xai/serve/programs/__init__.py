"""What runs in servers, on the Python that they bring: files that an export copies, and nothing here imports."""
