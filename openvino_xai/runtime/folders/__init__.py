"""Folders of photos, and of what runs write."""
