"""Files of a monthly panel in; a validated panel out, which is read whole or block by block."""
