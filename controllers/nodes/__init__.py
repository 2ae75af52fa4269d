"""Nodes: their pod ranges (`ipam`), their health (`lifecycle`) and the eviction of pods from tainted ones (`eviction`)."""
