"""Deployments: rollouts over ReplicaSets. `sets` and `scaling` decide, `status` reports, `controller` acts."""
