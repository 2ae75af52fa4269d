"""What can be done to objects beside reading and writing them: logs, exec, proxies, binding, eviction, tokens, approval."""
