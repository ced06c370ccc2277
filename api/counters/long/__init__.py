"""Long reads: what one call of Redis must not be asked for.

Lives here: what is asked and how it is cut (`asked`, pure), reading it in pieces that are still of one moment
(`pieces`), and the connection on which is watched what was read (`watched`).
Does not: what is short, which shares its way with others (`api.counters.round_trips`).
The way through: what `api.counters.reader` was told is too much -> `pieces` -> `watched` -> `read.lua`, piece
by piece.
"""
