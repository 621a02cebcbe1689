"""What groups of options have in common."""

from __future__ import annotations


class Group:
    """Options that belong together: the fields of a dataclass, each of which becomes an option of a command."""

    def check(self) -> None:
        """Raise InputError for what is wrong whatever the model is: this is asked before a file is read."""
