"""What ``import kilonet`` offers, one module a verb: each joins the floors below."""
