"""The command line: options, runs, exit status, terminal output."""
