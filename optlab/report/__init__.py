"""Reports: tables, figures and the HTML page of an experiment's results."""
