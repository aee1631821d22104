"""The differences of two results as people read them: sentences, a table, Markdown, JUnit."""
