"""A panel as it lies with the caller in, the same file where raw panels lie out (raw.py)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from vitrina.engine import LocalEngine
from vitrina.events.panels.raw import STEMS, RawPanel
from vitrina.events.panels.reader import panel_file
from vitrina.events.panels.staging import open_panel
from vitrina.events.raw_files import Progress
from vitrina.events.sources import stem_of, unpack
from vitrina.events.text_encoding import as_utf8


def upload_panel(
    source: Path, to: RawPanel, engine: LocalEngine, progress: Progress = lambda what, done, of: None
) -> dict[str, object]:
    """Puts the panel at `source` (as `read_panel` takes it) there as it is; `sent` is 0 when it lies there already.

    `DataError` when its columns are not those of a panel, or another file that lies there would be read instead of it.
    """
    with tempfile.TemporaryDirectory(prefix="vitrina-upload-") as scratch:
        work = Path(scratch)
        progress("look at the columns", 0, 2)
        path = panel_file(source, work)
        file, _ = as_utf8(unpack(path, work / "file"), work / "text")
        open_panel(file, engine)
        stem = stem_of(path.name)
        named = path.name if stem in STEMS else "panel" + (path.name[len(stem) :] if stem else ".csv")
        progress("send", 1, 2)
        return to.send(path, named)
