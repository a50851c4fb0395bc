"""Tests of sessions_core/parts/delivery."""
