"""`python -m xbar` is the command `xbar`."""

from xbar.cli import main

if __name__ == "__main__":
    main()
