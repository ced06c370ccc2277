"""Boards for Grafana, as code: `python -m deploy.grafana` writes the JSON files beside this one.

Lives here: what each board shows, a table a board (`pipeline`, `webhook`, `api`, `mail`, `programs`), how a
table becomes Grafana's JSON (`panels`), and the files, for those who provision Grafana and run no Python.
Does not: alarms, which Prometheus tells (`deploy/alarms.yaml`); a board shows which of them ring.
The way through: from the tables by Grafana's own SDK to a file for each board. Every query is run by a real
Prometheus in the tests, over a real stack under traffic.
"""
