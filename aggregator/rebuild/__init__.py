"""`rebuild`: a new generation of counters from the history, beside the live one; compare; switch.

Lives here: what is looked at beforehand (`plan`; `losses`, where a part of the log is counted), the counting
of the end of the log (`catch_up`, which goes from the live generation's lanes to the new ones by
`regrouping`), the comparison with the live generation (`compare`) as its checkpoints are followed
(`following`), the switch (`switch`), the whole of it (`rebuild`), what it says (`report`), and who counts for
one that another command leads (`join`).
Beside it `catch-up`: the live generation counted on from the archive (`rejoin`).
Does not: the counting of the bulk, which is `aggregator.bulk`'s; any counting of its own: the reading, the
rules and the script are those of the worker.
The way through: `plan` -> `rebuild` -> `catch_up` -> `compare` -> `switch`.
"""
