"""The cloud controller manager: what a cluster asks of the infrastructure it runs on."""
