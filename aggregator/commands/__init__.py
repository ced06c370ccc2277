"""What operators type: `rebuild`, `catch-up`, `verify`, `audit`, `recount`, `archive` and the rest.

Words for a person go to stderr, results to stdout (one JSON object with `--json`). Exit codes: 0 done, 1 not
done or something differs, 2 the command line or a setting is wrong.

Lives here: a file for each group (`rebuild`, `catch_up`, `proof`, `explain`, `archive`, `generations`,
`dead_letters`), and what they share: how arguments are read (`arguments`), how results and errors are printed
(`output`).
Does not: the work itself, which the rooms below do and which knows no terminal.
The way through: the command line -> `arguments` -> a room below -> `output` and the exit code.
"""
