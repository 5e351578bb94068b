"""`python -m massannot` is the command `massannot`."""

from massannot.cli import main

if __name__ == "__main__":
    main()
