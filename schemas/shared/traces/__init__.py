"""OpenTelemetry traces of requests, off unless the environment says where they go.

Lives here: the marks that the programs' code carries (`spans`), what a request is to a trace (`requests`),
and OpenTelemetry itself, which is an extra and imported by `sdk` alone, where it is wanted (`start`).
Does not: metrics and logs; those are Prometheus's and `schemas.shared.logs`, which name the trace.
The way through: `start` -> `sdk`; `requests` and the programs -> `spans` -> `sdk`.
"""
