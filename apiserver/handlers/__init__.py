"""What each verb does. `dispatch` is the one table from a request to its handler."""
