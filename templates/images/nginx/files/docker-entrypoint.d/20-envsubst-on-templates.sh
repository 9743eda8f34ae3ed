#!/bin/sh
# /etc/nginx/templates/NAME.template becomes /etc/nginx/conf.d/NAME, with ${VARIABLES} that the
# environment has replaced. nginx's own ($host, $uri …) stay, as they are not set there.
set -e

templates=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
suffix=${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}
output=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}

[ -d "$templates" ] || exit 0
defined=$(printf '${%s} ' $(env | grep -o '^[A-Za-z_][A-Za-z0-9_]*='  | cut -d= -f1))
find "$templates" -follow -type f -name "*$suffix" | while read -r template; do
    relative=${template#"$templates/"}
    target=$output/${relative%"$suffix"}
    mkdir -p "$(dirname "$target")"
    envsubst "$defined" <"$template" >"$target"
done
