"""The metrics API: reads hourly counters from Redis, adds them up, and answers whoever holds a key."""
