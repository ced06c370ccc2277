"""The bulk of the history, counted into a generation by any number of processes on any hosts.

Lives here: the counting of some partitions (`count`), which partitions are a process's own (`group`: Kafka
says, by a consumer group), one process that counts its own (`member`), and a command's processes with what is
counted by all of them together (`together`).
Does not: which generation and up to where, the comparison and the switch, which are the rebuild's.
The way through: `together` -> `member` -> `group` -> `count`.
"""
