"""Claims and volumes: binding, protection, attachment. Source: Kubernetes' persistent volume controllers."""
