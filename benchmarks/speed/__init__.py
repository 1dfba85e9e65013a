"""The speed benchmark: one module per question; see benchmarks/README.md."""
