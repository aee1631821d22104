"""The HTML page: its template, its scripts, and the file that writes it."""
