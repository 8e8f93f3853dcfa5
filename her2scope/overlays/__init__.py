"""What is drawn over a field, in which colours, and the numpy drawing for files. No Qt."""
