"""A cluster on this machine: its certificates, its processes, its addresses, and how it starts and ends."""
