"""Forward operators, and what is measured with them."""
