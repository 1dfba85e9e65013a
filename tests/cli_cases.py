"""The command line, called in this process."""

import pytest

from xbar import cli


def run_cli(monkeypatch, capsys, *arguments):
    """Exit code, stdout and stderr."""
    monkeypatch.setattr("sys.argv", ["xbar", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code, *capsys.readouterr()
