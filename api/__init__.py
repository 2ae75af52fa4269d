"""What objects are: the registry of kinds, their models, defaults, validation, merging and columns. No I/O."""
