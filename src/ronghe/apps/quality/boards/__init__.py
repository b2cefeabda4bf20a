"""Printed boards against a golden template: `template` compares two pictures, `learn` sets its numbers from marked `pairs`."""
