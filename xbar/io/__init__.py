"""Data that goes into a study and comes out of it; import the submodule you need."""
