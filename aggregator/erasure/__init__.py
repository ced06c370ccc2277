"""A tenant's past is taken away, and stays away: whatever crashes, goes back in time or is counted again.

Lives here: how a lane takes an erasure in (`take_in`, with the argument why that is exact), and what an
operator sets off (`erase`).
Does not: the law (`counting.rules`, `counting.decode`), the topic (`log.erasures`), and what a lane says
of itself (`counters.lanes`).
The way through: `erase` -> the topic -> `take_in`, of the command, each worker and each rebuild -> Redis.
"""
