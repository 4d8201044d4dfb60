"""What must hold of Raft: the properties of Figure 3, and the form a property takes."""
