"""What `describe` shows: one module per family of kinds, and one visible table of them in `registry`."""
