"""Reports: plots, tables and sentences about runs and studies, as HTML and Markdown."""

import logging

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # without a home it warns of a slow start
