"""The timed training loops; ``host`` runs each in its own process."""
