"""The console command `trfjax`."""


def main() -> None:
    """Run the command line."""
