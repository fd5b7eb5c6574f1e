"""Running a study: inputs, plan, cells, and whoever computes them."""
