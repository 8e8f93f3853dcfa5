"""Methods that find cells and measure membranes: the paper's closed contours (the network comes later)."""
