"""Training of the network on phantoms: samples, targets, network, loop, export. Only this package imports torch."""
