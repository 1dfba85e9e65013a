"""A study: from its settings, by circuits in chunks, to tables and results.h5."""
