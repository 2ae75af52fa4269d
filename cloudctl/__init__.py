"""The command line: Kubernetes objects with kubectl's words, and the life of a cluster on this machine."""
