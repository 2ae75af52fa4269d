"""A VM as a member of a cluster: checked, set up, joined, cleaned."""
