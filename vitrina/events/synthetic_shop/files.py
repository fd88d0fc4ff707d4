"""CSV files as RetailRocket writes them: bare header, no quotes, empty for null.

A file gets its name only when it is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow import csv


@contextmanager
def csv_file(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Gives a function that appends a table of `schema`; an interrupted file stays behind as `.part`."""
    partial = path.with_name(path.name + ".part")
    options = csv.WriteOptions(include_header=False, quoting_style="none", batch_size=65_536)
    with partial.open("wb") as sink:
        sink.write((",".join(schema.names) + "\n").encode())
        with csv.CSVWriter(sink, schema, write_options=options) as writer:
            yield writer.write_table
    partial.replace(path)
