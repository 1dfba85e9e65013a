"""Beyond the published study: what it leaves open, on the same circuits.

Mixes of training shapes, correctors that are told something, a circuit that ages, other published
remedies, and few labelled images. Each module with an `EXPERIMENT` is one experiment.
"""
