"""The composition root: the one place where engine, workflows and sources meet."""
