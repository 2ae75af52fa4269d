"""Admission: what completes and what refuses a write, one small plugin per rule; `table` lists them in order."""
