"""Reports: plots, tables and sentences about runs and studies, as HTML and Markdown."""
