"""`xbar sensitivity`: which cells matter, and the worst that can happen, for one network.

`config` says what may be asked, `source` has the network and its images, `stages` and `placed` what
is computed (each stage is kept, so that a stopped run goes on), `findings` what follows from it,
`figures` what is shown, `report` what is left behind, `run` does one after the other.
"""
