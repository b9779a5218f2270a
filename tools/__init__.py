"""Tools for those who work on funcgrad; run from the root of the repository."""
