"""The session: its record in Redis, its life from start to end, and `flask.session`."""
