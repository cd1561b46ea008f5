"""Model instances as the JSON that REST clients see: pure functions, one file per noun."""
