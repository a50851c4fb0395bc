"""Tests of sessions_core/sessions."""
