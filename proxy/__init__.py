"""The proxy of a node: Services and host ports as nftables rules, cluster DNS, routes to other nodes' pods."""
