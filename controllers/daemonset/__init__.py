"""DaemonSets: a pod on every eligible node. `placement` and `rollout` decide, `status` counts, `controller` acts."""
