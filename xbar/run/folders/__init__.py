"""Runs in folders: stages that go on after a stop, locks, processes, progress; of any command."""
