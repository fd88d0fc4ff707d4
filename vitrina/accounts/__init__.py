"""Who may use the service: passwords, tokens, API keys and scopes, over the accounts that `storage` keeps."""
