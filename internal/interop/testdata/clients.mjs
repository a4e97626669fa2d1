// Runs the OAuth2 clients of Node.js as standard input says, and prints what
// became of each case: one line of JSON a case.
import { readFileSync } from 'node:fs'
import { createPrivateKey } from 'node:crypto'
import * as openid from 'openid-client'
import * as oauth from 'oauth4webapi'
import { GoogleAuth } from 'google-auth-library'
import { Agent, fetch as fetchByAgent } from 'undici'

const { issuer, ca, cases } = JSON.parse(readFileSync(0, 'utf8'))
const scope = 'clusters:view'
const algorithms = {
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  ES384: { name: 'ECDSA', namedCurve: 'P-384' },
  EdDSA: { name: 'Ed25519' },
}

async function privateKey({ algorithm, key, kid }) {
  const der = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' })
  const imported = await crypto.subtle.importKey('pkcs8', der, algorithms[algorithm], false, ['sign'])
  return kid ? { key: imported, kid } : imported
}

// watched is a fetch that keeps the assertions that go out, and where to.
function watched(result, fetchIt = fetch) {
  return (url, options) => {
    const assertion = new URLSearchParams(options.body ?? '').get('client_assertion')
    if (assertion) result.assertions.push(assertion)
    result.asked.push(String(url))
    return fetchIt(url, options)
  }
}

// withCertificate is a fetch that shows a client's certificate where it is asked for one.
function withCertificate({ certificate, key }) {
  const dispatcher = new Agent({ connect: { ca, cert: certificate, key } })
  return (url, options) => fetchByAgent(url, { ...options, dispatcher })
}

async function openidClient(it, result) {
  const mutual = Boolean(it.certificate)
  const config = await openid.discovery(new URL(issuer), it.client_id, { use_mtls_endpoint_aliases: mutual },
    mutual ? openid.TlsClientAuth() : openid.PrivateKeyJwt(await privateKey(it)), {
      algorithm: it.oidc ? 'oidc' : 'oauth2',
      [openid.customFetch]: watched(result, mutual ? withCertificate(it) : fetch),
    })
  const token = await openid.clientCredentialsGrant(config, { scope })
  result.token = token.access_token
  result.active.push((await openid.tokenIntrospection(config, result.token)).active)
  await openid.tokenRevocation(config, result.token)
  result.active.push((await openid.tokenIntrospection(config, result.token)).active)
}

async function oauth4webapi(it, result) {
  const mutual = Boolean(it.certificate)
  const options = { [oauth.customFetch]: watched(result, mutual ? withCertificate(it) : fetch) }
  const where = new URL(issuer)
  const server = await oauth.processDiscoveryResponse(where, await oauth.discoveryRequest(where,
    { algorithm: 'oauth2', ...options }))
  const client = { client_id: it.client_id, use_mtls_endpoint_aliases: mutual }
  const prove = mutual ? oauth.TlsClientAuth() : oauth.PrivateKeyJwt(await privateKey(it))
  const token = await oauth.processClientCredentialsResponse(server, client,
    await oauth.clientCredentialsGrantRequest(server, client, prove, { scope }, options))
  result.token = token.access_token
  const active = async () => (await oauth.processIntrospectionResponse(server, client,
    await oauth.introspectionRequest(server, client, prove, result.token, options))).active
  result.active.push(await active())
  await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, prove, result.token, options))
  result.active.push(await active())
}

// openidBound gets a token that is bound to a key (DPoP), and calls the issuer and an API with it.
async function openidBound(it, result) {
  const config = await openid.discovery(new URL(issuer), it.client_id, undefined,
    openid.PrivateKeyJwt(await privateKey(it)), { algorithm: 'oauth2' })
  openid.allowInsecureRequests(config) // the API of this test is on loopback
  const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair(it.dpop))
  for (const [resource, url] of Object.entries(it.resources)) {
    const token = await openid.clientCredentialsGrant(config, { resource }, { DPoP })
    result.types.push(token.token_type)
    for (let i = 0; i < 2; i++) {
      const answer = await openid.fetchProtectedResource(config, token.access_token, new URL(url), 'GET', undefined,
        undefined, { DPoP })
      result.statuses.push(answer.status)
    }
    result.statuses.push((await fetch(url, { headers: { authorization: `Bearer ${token.access_token}` } })).status)
  }
}

async function oauth4webapiBound(it, result) {
  const options = { [oauth.allowInsecureRequests]: true }
  const where = new URL(issuer)
  const server = await oauth.processDiscoveryResponse(where, await oauth.discoveryRequest(where,
    { algorithm: 'oauth2' }))
  const client = { client_id: it.client_id }
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair(it.dpop))
  const again = async (call) => {
    try { return await call() } catch (err) {
      if (!oauth.isDPoPNonceError(err)) throw err
      return call()
    }
  }
  for (const [resource, url] of Object.entries(it.resources)) {
    const token = await again(async () => oauth.processClientCredentialsResponse(server, client,
      await oauth.clientCredentialsGrantRequest(server, client, oauth.PrivateKeyJwt(await privateKey(it)), { resource },
        { DPoP })))
    result.types.push(token.token_type)
    for (let i = 0; i < 2; i++) {
      const answer = await again(() => oauth.protectedResourceRequest(token.access_token, 'GET', new URL(url),
        undefined, undefined, { DPoP, ...options }))
      result.statuses.push(answer.status)
    }
    result.statuses.push((await fetch(url, { headers: { authorization: `Bearer ${token.access_token}` } })).status)
  }
}

// googleAuthLibrary is given a file as for Google's own workload identity
// federation; only audience and token_url are ours.
async function googleAuthLibrary(it, result) {
  const fetchToken = () => new GoogleAuth({ keyFilename: it.credentials, scopes: [scope] }).getAccessToken()
  result.token = await fetchToken()
  result.again = await fetchToken()
}

const libraries = {
  'openid-client': openidClient, oauth4webapi, 'google-auth-library': googleAuthLibrary,
  'openid-client, bound': openidBound, 'oauth4webapi, bound': oauth4webapiBound,
}
for (const it of cases) {
  const result = { name: it.name, assertions: [], asked: [], active: [], types: [], statuses: [] }
  try {
    await libraries[it.library](it, result)
  } catch (err) {
    const said = err.response?.text && !err.response.bodyUsed ? await err.response.text() : ''
    result.error = [err.message, err.error, err.error_description, err.cause?.message, said].filter(Boolean).join(': ')
  }
  console.log(JSON.stringify(result))
}
