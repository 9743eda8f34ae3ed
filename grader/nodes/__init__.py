"""The port: what a node can be asked, whatever it is."""
