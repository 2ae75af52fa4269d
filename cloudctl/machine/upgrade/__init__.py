"""Upgrades: what may follow what, and how a machine changes to a release while its cluster goes on."""
