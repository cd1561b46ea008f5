"""Views of the REST face: authenticate, load, validate, call one service, render."""
