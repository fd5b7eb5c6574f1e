"""The viewer: a page on this machine that shows a folder of results."""
