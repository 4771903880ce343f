"""The command line: a file for each group of verbs. Only this folder prints."""
