"""A small web server for one page."""

import html
import json
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

LONGEST = 4096


class Page(BaseHTTPRequestHandler):
    """Subclasses say what GET and POST do."""

    protocol_version = "HTTP/1.1"

    def text(self, body, status=200):
        self.send(f"{body}\n", "text/plain", status)

    def data(self, body, status=200):
        self.send(json.dumps(body) + "\n", "application/json", status)

    def page(self, title, body, status=200):
        title = html.escape(title)
        style = "body{font-family:sans-serif;margin:3rem auto;max-width:30rem}button{padding:1rem}"
        self.send(
            f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title>"
            f"<style>{style}</style><h1>{title}</h1>{body}"
            f"<p><small>served by {html.escape(socket.gethostname())}</small></html>\n",
            "text/html",
            status,
        )

    def send(self, body, kind, status):
        raw = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(raw)

    def form(self):
        size = min(int(self.headers.get("Content-Length") or 0), LONGEST)
        fields = parse_qs(self.rfile.read(size).decode(errors="replace"))
        return {name: values[0] for name, values in fields.items()}


def serve(page):
    ThreadingHTTPServer(("", 80), page).serve_forever()
