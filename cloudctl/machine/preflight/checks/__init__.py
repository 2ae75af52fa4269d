"""The checks, by what they look at. Each is a small function over a `Probe`; `table.py` names them all."""
