"""Elimination of an array column by column."""
