"""`python -m trajinfer`: the command line."""

from trajinfer.cli import main

if __name__ == "__main__":
    main()
