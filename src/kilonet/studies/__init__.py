"""Many runs of one question, and their statistics: what to run, where, and what came of it."""
