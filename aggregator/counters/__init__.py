"""Redis: the counters and the generations that they stand in.

Lives here: the connection, the scripts and the one way to call each (`store` and `apply` with `apply.lua`,
`keyspace` with `states.lua` and with `snapshots`, a room of its own, `registry` with `record.lua`, `lanes`
with `lane.lua`), the life of a generation (`lifecycle`, pure; `generation`, `lease`, `housekeeping`), and
what counts in order (`sink`), at a pace (`throttle`).
Does not: reading of the log, and who counts when.
The way through: what is read -> `sink` -> `throttle` -> `apply` -> `store` -> `apply.lua`; a snapshot ->
`keyspace` -> the reader.
"""
