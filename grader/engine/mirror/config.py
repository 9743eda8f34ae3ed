"""The mirror's configuration files, rendered from the servers that it replaces; pure functions.

nginx answers for the origins and refuses everything else. dnsmasq gives sandboxes the origins'
names and says that every other name does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from grader.engine.mirror.origins import Origin, Origins

REFUSAL = (
    "The sandbox has no way out: only Debian packages and Python packages can be had here, "
    "from the servers of this machine's apt and pip, by GET."
)
DOWN = (
    "The class mirror cannot reach the server of this package and has no copy. "
    "This is not the fault of who asked."
)
HEALTH_PORT = 1053
"""On the mirror's loopback."""
INTERFACES = 4096
"""Interfaces whose address is given out; a mirror gets one more for each sandbox, and their
numbers are never used again."""

NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"
SAFE = "[A-Za-z0-9._+~:@=,!/-]+"
HASHED = rf"/dists/{SAFE}/by-hash/{NAME}/[0-9a-f]+"
FILE = r"\.(?:whl|tar\.gz|tar\.bz2|tgz|zip|egg)(?:\.metadata|\.asc|\.provenance)?"
WANTED: Mapping[str, tuple[tuple[str, str], ...]] = {
    # A package and an index that is named by its hash never change; the rest is a snapshot.
    "debian": ((rf"/pool/{SAFE}|{HASHED}", "120d"), (rf"/dists/{SAFE}", "1h")),
    "index": ((rf"/{NAME}/?", "30m"),),
    "files": ((rf"/{SAFE}{FILE}", "120d"),),
}
"""Paths that are passed on, and how long an answer is good, by kind. An old answer is still
given where the server cannot be reached."""

KEEP = {"index": "max-age=600, public", "files": "max-age=365000000, immutable, public"}
"""What PyPI says of how long pip may keep a page and a file. An index of this site's often says
nothing, and pip would then leave no cache in an image that has one when it is built elsewhere."""

WAIT = {"debian": "20s", "index": "280s", "files": "280s"}
"""How long one waits for what another is just fetching: less than the client's own timeout
(apt's is 30 s, pip's in origins), after which it is fetched for both."""

HTTP = """\
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log stderr error;
include /etc/nginx/modules-enabled/*.conf;
events { worker_connections 2048; }
http {
    log_format drydock '$status ${upstream_cache_status}- $host$request_uri $body_bytes_sent';
    access_log /dev/stdout drydock;
    server_tokens off;
    server_names_hash_bucket_size 256;
    default_type text/plain;
    client_max_body_size 1;
    client_body_timeout 10s;
    client_header_timeout 10s;
    keepalive_timeout 30s;
    send_timeout 60s;
    resolver 127.0.0.11 valid=60s ipv6=off;
    resolver_timeout 4s;

    proxy_cache_path /cache/packages levels=1:2 keys_zone=packages:20m max_size=%(size)s
        min_free=512m inactive=120d use_temp_path=off;
    proxy_cache packages;
    proxy_cache_key $dd_url;
    proxy_cache_lock on;
    proxy_cache_lock_age 10m;
    proxy_cache_revalidate on;
    proxy_cache_use_stale error timeout invalid_header updating http_500 http_502 http_503 http_504;
    proxy_ignore_headers Cache-Control Expires Set-Cookie Vary X-Accel-Expires X-Accel-Redirect
        X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset;
    proxy_hide_header Set-Cookie;
    proxy_hide_header Cache-Control;
    add_header Cache-Control $dd_keep;
    proxy_http_version 1.1;
    proxy_method GET;
    proxy_pass_request_headers off;
    proxy_pass_request_body off;
    proxy_connect_timeout 5s;
    proxy_read_timeout 120s;
    proxy_max_temp_file_size 0;
    proxy_buffer_size 16k;
    proxy_buffers 16 16k;
    proxy_ssl_server_name on;
    proxy_ssl_verify on;
    proxy_ssl_verify_depth 8;
    proxy_ssl_trusted_certificate %(bundle)s;
    proxy_intercept_errors on;
    recursive_error_pages on;

    # For whoever asks from inside whether it runs.
    server { listen 127.0.0.1:%(health)d; access_log off; return 204; }

    map $upstream_http_location $dd_target {
        default "";
        "~^https?://" $upstream_http_location;
        "~^/[^/]" $dd_server$upstream_http_location;
    }
    map "" $dd_url { default "-"; }
    map "" $dd_server { default ""; }
    map "" $dd_hang_up { default ""; }
    map "" $dd_keep { default ""; }
"""

COMMON = """\
        error_page 400 403 405 413 414 421 494 =403 /drydock-refused;
        location = /drydock-refused { return 403 "%(refusal)s\\n"; }
        location / { return 403 "%(refusal)s\\n"; }
"""

FETCH = """\
        error_page 301 302 303 307 308 = @moved;
        error_page 500 502 503 504 = @stale;
        location @moved {
            # Where the server itself says that it is.
            if ($dd_target = "") { return 502; }
            set $dd_to $dd_target;
            proxy_set_header Accept-Encoding "";
            proxy_cache_valid 200 30m;
            proxy_pass $dd_to;
            error_page 301 302 303 307 308 500 502 503 504 = @stale;
        }
        location @stale {
            # A name that cannot be resolved ends before the cache is asked; this does not.
            proxy_pass http://127.0.0.1:9;
            error_page 500 502 503 504 = @down;
        }
        location @down {
            # pip keeps an error of the server to itself, but not that no one answered.
            if ($dd_hang_up) { return 444; }
            return 503 "%(down)s\\n";
        }
"""


def nginx(origins: Origins, bundle: str, size: str = "10g") -> str:
    """nginx.conf. `bundle` is the file of trusted certificates, `size` the cache's size in
    nginx's notation."""
    text = HTTP % {"size": size, "bundle": bundle, "health": HEALTH_PORT}
    ports = {origin.port for origin in origins.served} | {port for _, port in origins.proxies}
    for port in sorted(ports | {80}):
        text += f"    server {{\n        listen {port} default_server;\n        server_name _;\n"
        text += COMMON % {"refusal": REFUSAL} + "    }\n"
    # What goes through the images' proxy setting comes to the proxy's port.
    listens = {port for _, port in origins.proxies}
    for name in sorted({origin.name for origin in origins.served}):
        mine = [origin for origin in origins.served if origin.name == name]
        for port in sorted({origin.port for origin in mine} | listens):
            here = [o for o in mine if o.port == port or port in listens]
            text += f"    server {{\n        listen {port};\n        server_name {name};\n"
            text += COMMON % {"refusal": REFUSAL} + FETCH % {"down": DOWN}
            text += "".join(_rewrites(here, origins))
            for origin in here:
                text += "".join(_location(origin, *wanted) for wanted in WANTED[origin.kind])
            text += "    }\n"
    return text + "}\n" + _stream(origins)


def _location(origin: Origin, wanted: str, fresh: str) -> str:
    scheme, _, rest = origin.upstream.partition("://")
    authority = rest.split("/", 1)[0]
    path = re.escape(origin.path)
    lines = [
        f'location ~ "^{path}(?P<dd_path>{wanted})$" {{',
        "    limit_except GET { deny all; }",
        f"    set $dd_server {scheme}://{authority};",
        f"    set $dd_url {origin.upstream}$1;",
        f"    set $dd_hang_up {int(origin.kind != 'debian')};",
        f'    set $dd_keep "{KEEP.get(origin.kind, "")}";',
        # What a sandbox asks with is left behind (proxy_pass_request_headers off).
        f"    proxy_set_header Host {authority};",
        '    proxy_set_header Accept-Encoding "";',
        '    proxy_set_header Accept "text/html, */*;q=0.5";',
        '    proxy_set_header User-Agent "drydock-mirror";',
        f"    proxy_cache_valid 200 {fresh};",
        "    proxy_cache_valid 404 410 1m;",
        f"    proxy_cache_lock_timeout {WAIT[origin.kind]};",
    ]
    if origin.authorization is not None:
        lines.append(f'    proxy_set_header Authorization "{origin.authorization}";')
    if origin.parent is None:
        lines.append("    proxy_pass $dd_url;")
    else:
        # A proxy wants the whole address in the request line. $1 is escaped already, which
        # `rewrite` would do again.
        lines.append(f"    set $dd_parent {origin.parent.rstrip('/')};")
        lines.append(f"    set $dd_url {origin.upstream}$dd_path;")
        lines.append("    rewrite ^ $dd_url break;")
        lines.append("    proxy_pass $dd_parent;")
    lines.append("}")
    return "".join(f"        {line}\n" for line in lines)


def _rewrites(here: list[Origin], origins: Origins) -> Iterator[str]:
    """Change the links of index pages so that they lead to the mirror."""
    if not any(origin.kind == "index" for origin in here):
        return
    yield "        sub_filter_once off;\n"
    yield "        sub_filter_types application/vnd.pypi.simple.v1+html;\n"
    for linked, reached in origins.rewrites:
        yield f"        sub_filter '{linked}' '{reached}';\n"


def _stream(origins: Origins) -> str:
    """Servers that the images' apt contacts over TLS: passed through unread, by the requested
    name."""
    if not origins.encrypted:
        return ""
    text = "stream {\n    resolver 127.0.0.11 valid=60s ipv6=off;\n    proxy_connect_timeout 10s;\n"
    for port in sorted({host.rsplit(":", 1)[1] for host in origins.encrypted}):
        text += (
            f"    map $ssl_preread_server_name $dd_tls_{port} {{\n        default 127.0.0.1:9;\n"
        )
        for host in origins.encrypted:
            name, its = host.rsplit(":", 1)
            if its == port:
                text += f"        {name} {name}:{port};\n"
        text += f"    }}\n    server {{\n        listen {port};\n        ssl_preread on;\n"
        text += f"        proxy_pass $dd_tls_{port};\n    }}\n"
    return text + "}\n"


def dnsmasq(origins: Origins) -> str:
    """dnsmasq's configuration: each name is the mirror's address in the network of the sandbox
    that asks."""
    lines = [
        "user=nobody",
        "no-resolv",
        "no-hosts",
        "no-negcache",
        "localise-queries",
        "local-ttl=60",
        "cache-size=0",
        "address=/#/",
    ]
    for name in origins.names:
        lines += [f"interface-name={name},eth{number}" for number in range(INTERFACES)]
    return "\n".join(lines) + "\n"
