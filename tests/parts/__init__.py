"""Tests of the seam for parts, and of each part in its own folder."""
