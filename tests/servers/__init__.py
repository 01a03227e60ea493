"""Starts real programs for tests to run against or to be run by."""
