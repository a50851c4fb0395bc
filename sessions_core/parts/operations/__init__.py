"""For the people who run the site: metrics, health, readiness, counts of sessions, the gunicorn worker."""
