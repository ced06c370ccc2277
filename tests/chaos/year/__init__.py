"""A year in small: twelve months of mail through the true programs, with all that a year brings.

`mail` makes the records of the year, pure; `books` says what must be counted of them, with `tally`, which has
room for millions of cells; `run` is what happens, and `asking` what the API said meanwhile.
`python -m tests.chaos.year` runs it in any size, and `tests.chaos.test_year` a small one.
"""
