"""HTTP: from a request to a response.

Lives here: the door (`front`), the metrics routes with their documentation (`routes`, `openapi`), the order
in which a request is checked (`service`), what it says of itself (`requests`) and asks (`parsed`), errors
as problem details, request ids, conditional requests (`polling`), health, and the readiness that scrapes see
(`lookout`).
Does not: what a query means (`query`), where numbers come from (`counters`), who may ask (`keys`), files
for a browser (`page`).
The way through: `front` -> `routes` -> `service` -> `keys`, `query`, `counters` -> `query.answers` -> the
response.
"""
