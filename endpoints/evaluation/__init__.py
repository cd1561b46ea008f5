"""How good predictions are: pure functions over labels and predictions, and the process that sends a whole table."""
