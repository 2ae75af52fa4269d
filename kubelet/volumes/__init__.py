"""A pod's volumes: directories of the node, filled, mounted and kept up to date, that containers bind."""
