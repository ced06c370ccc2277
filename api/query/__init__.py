"""Queries and answers, pure: from a query string to a range, from hours to points.

Lives here: parameters, time zones, periods and instants; the hours of a scope (`hours`), their sums
(`rollup`), the answer's body and its CSV form; cursors; how complete an answer is (`freshness`).
Does not: I/O of any kind, and no clock: now comes in as a number.
The way through: `parameters` -> `query` -> (hours) -> `rollup` -> `answers` or `tables`.
"""
