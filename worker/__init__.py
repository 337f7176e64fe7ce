"""The engine: events become runs, and every run reaches an honest end."""
