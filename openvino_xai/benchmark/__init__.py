"""What a hook costs, measured: plain and hooked side by side."""
