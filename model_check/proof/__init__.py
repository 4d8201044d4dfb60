"""Asking solvers to prove what `spec.proof` says is to be proved."""
