"""`python -m hwnas.cli`, for launchers that want a module, such as torchrun."""

from hwnas.cli.main import main

if __name__ == "__main__":
    main()
