"""Explores the pure core exhaustively within bounds, and shows what it found."""
