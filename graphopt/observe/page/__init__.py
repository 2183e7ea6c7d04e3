"""A report as a page that a person looks at: what a run did, and the graph before and after, drawn. Importing this imports none of it."""
