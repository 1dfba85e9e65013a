"""Studies: frozen configurations, what runs them, and their reports. No physics of their own."""
