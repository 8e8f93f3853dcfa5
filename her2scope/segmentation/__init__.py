"""Methods that find cells and measure membranes: a trained network, and the paper's closed contours."""
