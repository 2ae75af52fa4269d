"""The scheduler: Kubernetes' scheduling framework over a columnar snapshot of the nodes."""
