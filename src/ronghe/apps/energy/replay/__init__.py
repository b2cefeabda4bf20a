"""Policies replayed on recorded load: each decides with what came before, and an independent simulator counts what it did."""
