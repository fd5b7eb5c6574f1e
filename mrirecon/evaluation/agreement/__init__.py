"""Whether two image series show the same thing at the same place in the same orientation."""
