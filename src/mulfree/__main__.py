"""``python -m mulfree``."""

from mulfree.cli import main

main()
