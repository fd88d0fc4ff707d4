"""What could not be used and is left alone for a while, so that a broken copy is not fetched at every look."""

from __future__ import annotations

import errno

from vitrina.errors import DamagedError, RegistryError, StoreError

RETRY_AFTER_LOOKS = 15
RETRY_SOON_AFTER_LOOKS = 3
_LACKING = frozenset({errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EINTR})


def is_passing(error: BaseException) -> bool:
    """Whether it says nothing about the copy: this host lacks memory, file handles or room, or a store does not answer.
    So does whatever was raised from that, damage apart. A file that cannot be read for another reason (its disk, its
    rights) does not pass by itself."""
    if isinstance(error, DamagedError):
        return False
    if isinstance(error, MemoryError | RegistryError | StoreError | ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and error.errno in _LACKING:
        return True
    return error.__cause__ is not None and is_passing(error.__cause__)


class Refusals:
    """Names of copies with the looks that are left until they are tried again: few for a copy that is here and an error
    that passes; a fetch that fails is not begun again so soon, as it may move gigabytes."""

    def __init__(self) -> None:
        self._left: dict[str, int] = {}

    def __contains__(self, copy: str) -> bool:
        return copy in self._left

    def add(self, copy: str, error: BaseException, *, here: bool) -> None:
        """It could not be used because of this error; `here`: it did not have to be fetched, or had been."""
        self._left[copy] = RETRY_SOON_AFTER_LOOKS if here and is_passing(error) else RETRY_AFTER_LOOKS

    def look(self) -> None:
        """Another look has begun."""
        self._left = {copy: left - 1 for copy, left in self._left.items() if left > 1}
