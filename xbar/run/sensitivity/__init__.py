"""`xbar sensitivity`: which cells matter, and the worst that can happen, for one network.

`config` says what may be asked, `source` has the network and its images, `stages` what is computed
(each stage is kept, so that a stopped run goes on), `fields` how results.h5 names it, `findings`
what follows from it, `figures` and `tables` what is shown, `run` does one after the other.
"""
