"""Compare Kilonet's training speed with that of other libraries: ``make bench``."""
