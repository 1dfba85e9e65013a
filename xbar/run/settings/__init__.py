"""What a run may be asked to do: its settings, how files say them, what they are checked for."""
