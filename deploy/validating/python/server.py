"""An API that takes svcauth's tokens with PyJWT (pip install "pyjwt[crypto]"; Debian: python3-jwt, python3-cryptography; 2.6 or newer)."""

import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

from revocations import Revocations

ISSUER, AUDIENCE = os.environ["ISSUER"], os.environ["AUDIENCE"]


class Keys:
    """The issuer's keys: kept five minutes, and fetched anew for an unknown kid, at most every 30 s."""

    def __init__(self, url):
        self.jwks = jwt.PyJWKClient(url, lifespan=300)
        self.lock = threading.Lock()
        self.missed = -1e9

    def find(self, kid):
        with self.lock:
            for again in (False, True):
                if again:
                    if time.monotonic() - self.missed < 30:
                        break
                    self.missed = time.monotonic()
                for key in self.jwks.get_signing_keys(refresh=again):
                    if key.key_id == kid:
                        return key.key
        raise jwt.InvalidTokenError("unknown key")


keys = Keys(ISSUER + "/.well-known/jwks.json")
revocations = None  # live revocation: with the credential of a service account that holds tokens:introspect
if "SVCAUTH_CLIENT_ID" in os.environ:
    revocations = Revocations(ISSUER, os.environ["SVCAUTH_CLIENT_ID"], os.environ["SVCAUTH_CLIENT_SECRET"])


def check(token):
    header = jwt.get_unverified_header(token)
    if header.get("typ") != "at+jwt" or "crit" in header:
        raise jwt.InvalidTokenError("no access token")
    claims = jwt.decode(token, keys.find(header.get("kid")), algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE, leeway=30,
                        options={"require": ["exp", "iat", "iss", "aud", "sub", "client_id", "jti"]})
    if revocations and revocations.denies(claims):
        raise jwt.InvalidTokenError("revoked")
    return claims


class API(BaseHTTPRequestHandler):
    def do_GET(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise jwt.InvalidTokenError("no token")
            claims = check(token)
        except jwt.InvalidTokenError:
            return self.answer(401, "invalid_token", 'Bearer error="invalid_token"')
        except Exception as problem:  # keys or revocations are unavailable: fail closed
            self.log_error("%s", problem)
            return self.answer(503, "unavailable")
        if "clusters:view" not in claims.get("scope", "").split(" "):
            return self.answer(403, "insufficient_scope", 'Bearer error="insufficient_scope", scope="clusters:view"')
        self.answer(200, "hello " + claims["sub"])

    def answer(self, status, text, challenge=None):
        self.send_response(status)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    host, _, port = os.environ["LISTEN"].rpartition(":")
    ThreadingHTTPServer((host, int(port)), API).serve_forever()
