"""The API server: Kubernetes' API over etcd. Start reading at `chain`, then `handlers`, `store`, `cache` and `feed`."""
