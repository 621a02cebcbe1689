"""What a detector's numbers say: boxes of rows, and which rows are detections.

Functions of `(xp, arrays)`, as hooks are: traced into a graph, or run on NumPy. They know no graph.
"""
