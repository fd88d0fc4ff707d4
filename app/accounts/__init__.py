"""Accounts over HTTP: tokens in and out, and the guard in front of routes."""
