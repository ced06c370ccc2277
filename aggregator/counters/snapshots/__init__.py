"""Snapshots: what a lane holds of some tenants, and the checkpoints that say which events that is.

Lives here: the script that reads them in one step (`snapshot.lua`), what it answers (`answer`, pure), and one
tenant that is too much for one step in many, still of one moment (`pieces`).
Does not: who asks for which tenants (`aggregator.counters.keyspace`), and what the counters mean.
The way through: `keyspace` -> `snapshot.lua` -> `answer`, or -> `pieces` -> `snapshot.lua`, at last.
"""
