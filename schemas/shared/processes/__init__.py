"""Several processes of one program, on one port of one host.

Lives here: how a program goes on in several processes and how they end together (`fork`), what they ask each
other (`links`), and how what all of them say becomes one answer (`together`, `exposition`).
Does not: serving HTTP itself (`schemas.shared.server`), and anything that a program with one process needs.
The way through: `fork` -> `links` -> `together` -> `exposition`.
"""
