"""Queries and answers, pure: from a query string to a range, from the counts of days to points.

Lives here: parameters, time zones, periods and instants; the points that a range has (`ranges`); the counts
of a scope by hour or by quarter (`day_counts`), their sums (`rollup`), the answer's body and its CSV form;
cursors; how complete an answer is (`freshness`).
Does not: I/O of any kind, and no clock: now comes in as a number.
The way through: `parameters` -> `query` -> (days of counts) -> `rollup` -> `answers` or `tables`.
"""
