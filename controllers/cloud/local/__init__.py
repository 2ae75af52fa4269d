"""The provider that needs no vendor: HAProxy processes on an address pool, image files as disks, all on one machine."""
