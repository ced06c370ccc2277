"""Redis: the counters and the generations that they stand in.

Lives here: the connection, the scripts and the one way to call each (`store` and `apply` with `apply.lua`,
`keyspace` with `snapshot.lua`, `registry` with `record.lua`, `lanes` with `lane.lua`), the life of a
generation (`lifecycle`, pure; `generation`, `lease`, `housekeeping`), and the pace of a rebuild (`throttle`).
Does not: reading of the log, and who counts when.
The way through: a packed call -> `apply` -> `store` -> `apply.lua`; a snapshot -> `keyspace` -> the reader.
"""
