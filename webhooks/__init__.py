"""The way in: an HTTP delivery comes, verified events go on."""
