"""The Internet Computer: principals, delegations, Internet Identity."""

from __future__ import annotations

from ...part import Part
from .verifier import InternetComputer as Verifier


class InternetComputer(Part):
    """Sign-in by self-authenticating principals, Internet Identity included."""

    libraries = {"nacl": "pynacl>=1.6.2"}
    slots = {"activity_words": "sessions/_activity_internet_computer.html"}
    verifiers = (Verifier(),)
