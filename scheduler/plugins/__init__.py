"""The plugins, one module each. What is in use stands in `scheduler.registry`."""
