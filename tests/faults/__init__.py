"""What goes wrong in production, brought about on purpose and counted: `make faults`."""
