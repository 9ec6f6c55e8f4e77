"""``python -m kdzoo`` is the command ``kdzoo``: launchers of several processes start a module."""

from kdzoo.cli import main

if __name__ == "__main__":
    main()
