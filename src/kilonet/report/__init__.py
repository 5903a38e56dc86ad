"""What a run shows a person: plots, and a report in Markdown and HTML."""
