"""The vector suite: what the core answers, written down, for test suites in any language.

See ``spec/vectors.md``.
"""
