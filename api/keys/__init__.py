"""API keys: their form, who may use one, and the topic that keeps them.

Lives here: the form of a key and the table of all (`keys`, pure), the topic followed and written (`topic`),
and `python -m api keys` (`commands`).
Does not: anything of Redis: a Redis that goes back in time must not bring a revoked key back.
The way through: a record of `api-keys` -> `topic` -> `keys`; a request's key -> `keys` -> its tenant.
"""
