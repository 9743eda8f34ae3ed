. /opt/venv/bin/activate
if [ $# -gt 0 ]; then exec "$@"; fi
cd && exec jupyter lab --ip 0.0.0.0 --no-browser
