"""The health of all tenants, for who runs the installation and may have to pause a sender.

Lives here: the survey of all tenants in Redis (`survey`), the command that prints who is in trouble
(`commands`), and the metrics that tell of it (`watch`).
Does not: the rule itself (`api.sender_health`), nor a tenant's own answer (`include=health`), which is like
any other.
The way through: `counters.lanes` -> `survey` -> `commands` or `watch`.
"""
