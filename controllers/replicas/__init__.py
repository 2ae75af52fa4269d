"""ReplicationController and ReplicaSet: one controller for both, told apart by a row (`controller.Kind`)."""
