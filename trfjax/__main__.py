"""`python -m trfjax` is the command `trfjax`."""

from trfjax.cli import main

if __name__ == "__main__":
    main()
