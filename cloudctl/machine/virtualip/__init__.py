"""The virtual IP: an address that always stands on a control plane whose API server is ready (docs/high-availability.md)."""
