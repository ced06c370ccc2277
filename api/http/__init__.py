"""HTTP: from a request to a response.

Lives here: the order in which a request is judged (`service`), errors as problem details, request ids, rate
limits, conditional requests (`polling`), the OpenAPI description, and the readiness that scrapes see
(`lookout`).
Does not: what a query means (`query`), where numbers come from (`counters`), who may ask (`keys`).
The way through: `api.app` -> `service` -> `keys`, `query`, `counters` -> `query.answers` -> the response.
"""
