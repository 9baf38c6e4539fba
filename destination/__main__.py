"""``python -m destination`` is the ``destination`` command."""

from destination.cli import main

if __name__ == "__main__":
    main()
