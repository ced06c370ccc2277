"""The proof: the log counted again by a law of its own, in SQL, and compared with Redis.

Lives here: what is proved (`subject`), the law (`law.sql`, and in `law` the data that it takes), who runs it
(`recount`), `verify` (all of it, once) with `shortfall`, and `audit` (some tenants' days, for ever;
`audit_process`).
Does not: anything that writes counters. It shares the reading of records with live counting, up to the slim
event, and nothing that comes after.
The way through: a snapshot of `counters` and `history` up to its offsets -> slim events -> facts -> cells of
both -> what differs.
"""
