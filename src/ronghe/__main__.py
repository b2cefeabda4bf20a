"""`python -m ronghe` is the `ronghe` command."""

from ronghe.cli.main import main

if __name__ == "__main__":
    main()
