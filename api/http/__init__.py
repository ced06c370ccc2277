"""HTTP: from a request to a response.

Lives here: the metrics routes with their documentation (`routes`, `openapi`), the order in which a request
is checked (`service`), errors as problem details, request ids, rate limits, conditional requests (`polling`),
health, and the readiness that scrapes see (`lookout`).
Does not: what a query means (`query`), where numbers come from (`counters`), who may ask (`keys`), files
for a browser (`page`).
The way through: `routes` -> `service` -> `keys`, `query`, `counters` -> `query.answers` -> the response.
"""
