"""The model behind a layer, interpreted: replayed, masked, sliced by class, differentiated."""
