"""How close an image is to a reference, with the definition stated."""
