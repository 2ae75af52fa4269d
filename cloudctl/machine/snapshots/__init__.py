"""Backup and restore of a cluster: etcd's store and the keys that nodes and pods rely on, in one archive."""
