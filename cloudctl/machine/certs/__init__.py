"""What becomes of a machine's certificates: how long they are good, how they are renewed, how their authorities are replaced."""
