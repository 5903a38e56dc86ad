"""The page of goals of everything that ships."""
