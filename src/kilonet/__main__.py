"""``python -m kilonet`` is the ``kilonet`` command."""

from kilonet.cli import main

main()
