#!/bin/sh
set -e

# `docker run registry:2 my.yml` and `docker run registry:2 serve my.yml` mean the same server.
case "$1" in
*.yaml | *.yml)
    set -- registry serve "$@"
    ;;
serve | garbage-collect | help | -*)
    set -- registry "$@"
    ;;
esac

exec "$@"
