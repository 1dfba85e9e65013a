"""The published study, done again with statistics, and gone beyond: `xbar paper`.

Each experiment is a module with one `EXPERIMENT`: what it computes are tables; its figures, its
sentences and its verdicts follow from these tables alone. `registry` lists them in order.
"""
