"""What the JSON service says of the state that tabs compare."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class State(Struct):
    """The field that this part adds to the state of a session."""

    live_state: Annotated[
        dict[str, str],
        Meta(description="A digest of each thing that is kept for the account. One that differs has changed."),
    ]
