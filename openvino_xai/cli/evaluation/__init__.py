"""`ovxai evaluate`, behind its options: of classes, of boxes, and the rows that both keep."""
