"""The node's own certificates: `pair` is one on disk, `signing` asks the cluster for one, `rotation` keeps it fresh.

Loaded only where certificates are to be had from the cluster: the library that makes them is larger than the rest of the kubelet.
"""
