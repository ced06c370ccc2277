"""Other stream processors that do the benchmark's work, each a program of its own; `table.py` lists them.

This file imports nothing: the programs run in environments that hold little more than their framework.
"""
