"""The proof: the log counted again in the plainest form, and compared with Redis.

Lives here: `verify` (all of it, once), `audit` (some tenants' days, for ever; `audit_process`) and the
count of one day (`daycount`).
Does not: anything that writes counters.
The way through: a snapshot of `counters` and the log up to its offsets -> cells of both -> what differs.
"""
