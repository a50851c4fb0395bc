"""The tests. Every kind of account is registered here, for tests that make no application."""

from sessions_core import part

part.choose(None)
