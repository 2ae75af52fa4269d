"""Clusters of VMs on one machine: every node a container that runs systemd and Docker inside, with an address of its own."""
