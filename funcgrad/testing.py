"""Numerical checks of derivatives."""
