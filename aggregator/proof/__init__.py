"""The proof: the log counted again in the plainest form, and compared with Redis.

Lives here: what is proved (`subject`), `verify` (all of it, once) with `recount` and `shortfall`, and `audit`
(some tenants' days, for ever; `audit_process`) with `day_recount`. Both recounts are the same law, a fact at
its least quarter of an hour, and are tested against each other. `recount` takes in any events and holds each
fact in memory: with more log it needs more.
`day_recount` takes in one tenant's events and gives one day: in memory it holds the facts of that day alone,
and what could be a fact of a day before goes to a file.
Does not: anything that writes counters.
The way through: a snapshot of `counters` and the log up to its offsets -> cells of both -> what differs.
"""
