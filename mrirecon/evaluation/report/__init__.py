"""The report of an acceleration study: one HTML file without a network, and the figures a paper prints."""
