#!/bin/sh
# As the official image: the command is run as it is given.
set -e
exec "$@"
