"""Whole paths over a cluster that `cloudctl up --nodes 2` started."""
