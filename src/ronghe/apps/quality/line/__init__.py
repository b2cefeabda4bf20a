"""Inspection on a line: the app `inspect` judges, keeps (`archive`), watches, asks people, and learns from their answers."""
