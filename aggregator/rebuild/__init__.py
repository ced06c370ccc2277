"""`rebuild`: a new generation of counters from the log, beside the live one; compare; switch.

Lives here: what is looked at beforehand (`plan`), the counting in bulk (`shares`, processes; `recounting`,
one of them, and the end of the log), and the whole of it (`rebuild`).
Does not: any counting of its own: the reading, the rules and the script are those of the worker.
The way through: `plan` -> `shares` -> `recounting` -> compare -> switch.
"""
