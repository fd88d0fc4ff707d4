"""The HTTP side: translation between requests and `vitrina`, settings from the environment, and the server."""
