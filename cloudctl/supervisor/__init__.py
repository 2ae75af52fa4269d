"""The small process that keeps a local cluster's daemons running.

It stands where systemd stands on a VM: starts daemons, learns that they are ready by sd_notify, starts again what died,
and stops with the cluster. It imports the standard library alone, so that it costs about as much memory as bare Python.
"""
