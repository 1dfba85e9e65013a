"""The published study, done again with statistics, and gone beyond: `xbar paper`.

`experiments` holds one module for each experiment: what it computes are tables (pandas data
frames), and its figures, sentences and verdicts follow from these tables alone.
"""
