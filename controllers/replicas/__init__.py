"""ReplicationController and ReplicaSet: one controller for both, told apart by their selectors."""
