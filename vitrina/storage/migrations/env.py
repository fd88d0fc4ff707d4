"""Run by Alembic: applies migrations over the connection that `vitrina.storage.schema` hands over."""

from alembic import context

from vitrina.storage.schema import VERSION_TABLE
from vitrina.storage.state_tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
