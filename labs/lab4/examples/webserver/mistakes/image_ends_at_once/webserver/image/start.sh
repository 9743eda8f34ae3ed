#!/bin/bash
set -e
service php8.2-fpm start
service nginx start
