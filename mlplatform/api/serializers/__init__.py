"""Shapes of requests and answers, one file per noun. Answers document what presenters build."""
