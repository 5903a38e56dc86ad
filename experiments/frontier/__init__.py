"""Models that ship: from finished runs to the package."""
