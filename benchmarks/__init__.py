"""How fast Kilonet trains, against what people use instead: ``make bench``."""
