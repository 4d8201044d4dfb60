"""Extensions of Figure 2, one module each; they are off unless `Config` turns them on.

With all of them off, the core is that of Figure 2.
"""
