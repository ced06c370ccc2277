"""Redis, as the API reads it.

Lives here: the connection (`connection`), the reads (`reader`) and their two scripts (`scripts`), reads that
share a round trip (`round_trips`), and what such a trip is (`exchange`); what the scripts say (`replies`,
pure), and whether the numbers of a closed lane may be reported (`closed_lanes`, pure); reads that are too
long for one call (`long`); what is read of all lanes for who runs this (`lanes`), and whether there is
anything to read (`liveness`).
`pace` is what the shell promises to long reads.
Does not: writing of any kind.
The way through: a scope and a range of days -> `reader` -> `round_trips` -> `exchange` -> the scripts ->
`replies` -> days of hours, or of quarters of an hour. Where a script says that this is more than one call may
read: `reader` -> `long` -> the script, piece by piece -> `replies`.
"""
