"""Clusters of VMs: what `cloudctl` does on the machine it runs on."""
