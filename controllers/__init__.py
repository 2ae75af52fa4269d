"""The controller manager: one small class per controller, listed in `table`, run by `manager`."""
