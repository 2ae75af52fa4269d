"""A machine (a VM) as a member of a cluster: how it is laid out, joins, is looked after, and leaves."""
