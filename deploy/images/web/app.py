"""The example's web tier: counts visits in Redis and greets. Standard library only."""

import html
import os
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GREETING = os.environ.get("GREETING", "Hello")
REDIS = (os.environ.get("REDIS_HOST", "redis"), int(os.environ.get("REDIS_PORT_NUMBER", "6379")))
PASSWORD = os.environ.get("REDIS_PASSWORD", "")
POD = os.environ.get("POD_NAME", socket.gethostname())
PORT = int(os.environ.get("PORT", "8080"))
TIMEOUT_SECONDS = 2.0


class RedisError(Exception):
    """Redis answered with an error, or not at all."""


def ask(*commands: tuple[str, ...]) -> str:
    """Send commands over a connection of their own; returns the last answer (RESP simple strings, integers, bulks)."""
    try:
        with socket.create_connection(REDIS, timeout=TIMEOUT_SECONDS) as connection:
            stream = connection.makefile("rwb")
            answer = ""
            for words in ((("AUTH", PASSWORD),) if PASSWORD else ()) + commands:
                encoded = b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words)
                stream.write(b"*%d\r\n%s" % (len(words), encoded))
                stream.flush()
                line = stream.readline().rstrip().decode()
                if line.startswith("-") or not line:
                    raise RedisError(line[1:] or "Redis hung up")
                answer = stream.readline().rstrip().decode() if line.startswith("$") else line[1:]
            return answer
    except OSError as error:
        raise RedisError(f"Redis does not answer: {error}") from error


class Handler(BaseHTTPRequestHandler):
    """`/` counts and greets, `/ready` asks Redis, `/live` answers always."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path == "/live":
            self._answer(200, "ok\n")
            return
        try:
            if self.path == "/ready":
                ask(("PING",))
                self._answer(200, "ok\n")
                return
            visits = ask(("INCR", "visits"))
        except RedisError as error:
            self._answer(503, f"{error}\n")
            return
        self._answer(200, f"{html.escape(GREETING)}\nvisits: {visits}\nserved by: {html.escape(POD)}\n")

    def _answer(self, code: int, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """One line per visit; probes are not worth one."""
        if self.path not in ("/ready", "/live"):
            sys.stdout.write(f"{self.address_string()} {format % args}\n")
            sys.stdout.flush()


def main() -> None:
    """Serve until SIGTERM; requests under way are finished."""
    server = ThreadingHTTPServer(("", PORT), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    sys.stdout.write(f"serving on port {PORT}\n")
    sys.stdout.flush()
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    main()
