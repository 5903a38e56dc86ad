"""The questions that the five pages leave open, put as studies: what answers them, and the page."""
