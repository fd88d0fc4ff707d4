"""Alembic's environment and the versions of the state database's schema."""
