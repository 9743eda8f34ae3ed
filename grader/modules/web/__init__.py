"""Web pages and the containers that serve them."""
