"""Information flow over epochs and layers, and how it is drawn."""
