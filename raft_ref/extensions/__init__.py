"""What goes beyond Figure 2, one module an extension; each is off unless `Config` turns it on.

With all of them off, the core is that of Figure 2.
"""
