"""How a daemon talks to the API: REST, informers, work queues, events, leader election, and the one daemon skeleton."""
