"""What real devices do to the digits network; each question is one module of this package."""
