"""API keys: their form, who may use one, and the topic that keeps them.

Lives here: the form of a key (`form`, pure) and the table of all (`table`, pure), the topic that keeps them
(`topic`) and whoever follows it into the table (`follower`), what the API asks of such a one (`source`), and
`python -m api keys` (`commands`).
Does not: anything of Redis: a Redis that goes back in time must not bring a revoked key back.
The way through: a record of `api-keys` -> `follower` -> `table`; a request's key -> `table` -> its tenant.
"""
