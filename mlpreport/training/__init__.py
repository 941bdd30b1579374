"""Room of mlpreport."""
