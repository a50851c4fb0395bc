"""Tests of sessions_core/parts/reverse_proxy."""
