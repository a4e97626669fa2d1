"""Runs Authlib's client as standard input says, and prints what became of each
case: one line of JSON a case."""
import base64
import json
import sys
import urllib.parse

from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT

job = json.load(sys.stdin)
issuer, scope = job["issuer"], "clusters:view"


def proof(it):
    """What signs: the first argument becomes the assertion's aud."""
    if "claims" in it:
        return PrivateKeyJWT(issuer + "/oauth2/token", claims=dict(it["claims"]), alg=it["algorithm"])
    audience = issuer + "/oauth2/token" if it.get("token_url") else issuer
    return PrivateKeyJWT(audience, alg=it["algorithm"])


def walk(it, result):
    further = {} if it.get("basic") else {"revocation_endpoint_auth_method": "private_key_jwt"}
    session = OAuth2Session(it["client_id"], it["key"], scope=scope, grant_type="client_credentials",
                            token_endpoint=issuer + "/oauth2/token", token_endpoint_auth_method="private_key_jwt",
                            **further)

    def watch(answer, **_):
        form = dict(urllib.parse.parse_qsl(answer.request.body))
        if "client_assertion" in form:
            result["assertions"].append(form["client_assertion"])
        scheme, _, credentials = answer.request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            result["basic"] = base64.b64decode(credentials).decode()
    session.hooks["response"].append(watch)
    session.register_client_auth_method(proof(it))
    result["token"] = session.fetch_token()["access_token"]

    def active():
        answer = session.introspect_token(issuer + "/oauth2/introspect", token=result["token"])
        if answer.status_code != 200:
            raise RuntimeError(answer.text)
        return answer.json()["active"]

    result["active"].append(active())
    session.revoke_token(issuer + "/oauth2/revoke", token=result["token"]).raise_for_status()
    result["active"].append(active())


for it in job["cases"]:
    result = {"name": it["name"], "assertions": [], "active": []}
    try:
        walk(it, result)
    except Exception as err:  # whatever it is, it is the answer
        result["error"] = str(err)
    print(json.dumps(result))
