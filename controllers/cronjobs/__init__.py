"""CronJobs: Jobs at set times. `schedule` reads the times, `history` picks them, `controller` acts."""
