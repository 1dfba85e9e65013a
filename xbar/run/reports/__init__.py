"""Pages and figures from what a run has stored."""
