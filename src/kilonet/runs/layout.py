"""The names of the files in a run's directory, and the version of that layout."""

FORMAT = 1

RUN = "run.json"
DATA = "data"  # the key in it that holds what the network must know of its images
RECIPE = "recipe.toml"
HISTORY = "history.csv"
STATE = "state.safetensors"
BEST = "best.safetensors"
LAST = "last.safetensors"
ONNX = "model.onnx"
METRICS = "metrics.json"
SUMMARY = "summary.txt"
REPORT_MARKDOWN = "report.md"
REPORT_HTML = "report.html"
ROBUSTNESS = "robustness"  # and .json, .png; measured when asked for
EVENTS = "tensorboard"  # a folder, where the recipe wants one
LOCK = ".lock"
