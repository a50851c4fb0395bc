"""Tests of sessions_core/sign_in."""
