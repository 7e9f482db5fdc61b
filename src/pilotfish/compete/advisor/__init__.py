"""The advisor, whole: tasks of every kind, every role of small models weighed, one verdict."""
