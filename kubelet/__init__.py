"""The node agent: turns the pods bound to this node into sandboxes and containers on Docker, and reports what became of them."""
