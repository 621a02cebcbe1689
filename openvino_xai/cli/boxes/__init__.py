"""What commands make of detectors."""
