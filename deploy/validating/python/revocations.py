"""Follows svcauth's revocation feed by polling: a revoked token is refused a second later, with no call for each request."""

import base64
import json
import threading
import time
import urllib.parse
import urllib.request


class Revocations:
    def __init__(self, issuer, client_id, client_secret, every=1.0, max_staleness=60.0):
        self.issuer, self.every, self.max_staleness = issuer, every, max_staleness
        basic = ":".join(urllib.parse.quote_plus(part) for part in (client_id, client_secret))
        self.basic = "Basic " + base64.b64encode(basic.encode()).decode()
        self.bearer, self.renew = "", 0.0
        self.cursor, self.proven = "", -1e9
        self.jtis, self.creds, self.clients, self.orgs = {}, {}, {}, {}
        threading.Thread(target=self.follow, daemon=True).start()

    def denies(self, claims):
        """Says whether a verified token is revoked. Raises where the feed has been silent for too long: then nobody knows."""
        if time.monotonic() - self.proven > self.max_staleness:
            raise RuntimeError("the revocation feed is stale")
        roles, scope = claims.get("roles", []), claims.get("scope", "").split(" ")
        spared = {"": (), "dpop": ("jkt",), "mtls": ("x5t#S256",), "any": ("jkt", "x5t#S256")}
        bound = {unless for unless, ways in spared.items() if any(way in claims.get("cnf", {}) for way in ways)}
        return (
            claims["jti"] in self.jtis
            or claims.get("cred") in self.creds
            or any(claims.get("epoch", 0) < least and (not role or role in roles) and unless not in bound
                   for (role, unless), least in list(self.clients.get(claims["client_id"], {}).items()))
            or any(claims.get("pol", 0) < least and (not role or role in roles) and (not privilege or privilege in scope)
                   and unless not in bound for (role, privilege, unless), least in list(self.orgs.get(claims.get("org_id"), {}).items()))
        )

    def add(self, entry):
        role, unless = entry.get("role", ""), entry.get("unless_bound", "")
        if "min_pol" in entry:
            rules, key, least = self.orgs.setdefault(entry["org_id"], {}), (role, entry.get("privilege", ""), unless), entry["min_pol"]
        elif "min_epoch" in entry:
            rules, key, least = self.clients.setdefault(entry["client_id"], {}), (role, unless), entry["min_epoch"]
        else:
            kind, name = (self.creds, "cred") if "cred" in entry else (self.jtis, "jti")
            kind[entry[name]] = entry["exp"]
            return
        rules[key] = max(least, rules.get(key, 0))

    def poll(self):
        more = True
        while more:
            began = time.monotonic()
            page = self.get("/oauth2/revocations?since=" + urllib.parse.quote(self.cursor))
            for entry in page["revocations"]:
                self.add(entry)  # on a snapshot too: what is there already stays until it has expired
            self.cursor, more = page["cursor"], page.get("more", False)
        self.proven = began
        now = time.time() - 300  # a check may have a leeway
        for kind in (self.jtis, self.creds):
            for name in [name for name, exp in list(kind.items()) if exp < now]:
                del kind[name]

    def follow(self):
        while True:
            try:
                self.poll()
            except Exception as problem:
                self.renew = 0.0  # it may be the token
                print("revocation feed:", problem, flush=True)
            time.sleep(self.every)

    def get(self, path):
        if time.monotonic() >= self.renew:
            body = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": "tokens:introspect",
                                           "resource": self.issuer}).encode()
            answer = self.call("/oauth2/token", self.basic, body)
            self.bearer, self.renew = "Bearer " + answer["access_token"], time.monotonic() + answer["expires_in"] / 2
        return self.call(path, self.bearer)

    def call(self, path, authorization, body=None):
        headers = {"Authorization": authorization, "Accept": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.issuer + path, body, headers), timeout=10) as answer:
            return json.load(answer)
