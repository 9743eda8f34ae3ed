#!/bin/sh

# Installing a package in a container starts no service: there is no init that would keep it.
# `service NAME start` is not held back by this.
exit 101
