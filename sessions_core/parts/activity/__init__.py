"""What happened to an account: a log that its user and administrators can read and download."""
