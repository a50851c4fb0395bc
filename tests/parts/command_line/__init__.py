"""Tests of sessions_core/parts/command_line."""
