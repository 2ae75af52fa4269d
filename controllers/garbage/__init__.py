"""Garbage collection: `graph` knows who owns whom, `collector` deletes what nobody owns any more."""
