// An API that takes svcauth's tokens with jose (npm install jose; version 5 or 6).
import { createServer } from 'node:http'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'

const { ISSUER, AUDIENCE, LISTEN, SVCAUTH_CLIENT_ID, SVCAUTH_CLIENT_SECRET } = process.env

// Fetched once and kept; anew for an unknown kid, at most every 30 s.
const keys = createRemoteJWKSet(new URL(ISSUER + '/.well-known/jwks.json'), { cooldownDuration: 30_000, timeoutDuration: 10_000 })

async function check(token) {
  const { payload } = await jwtVerify(token, keys, {
    algorithms: ['ES256'], typ: 'at+jwt', issuer: ISSUER, audience: AUDIENCE, clockTolerance: 30,
    requiredClaims: ['exp', 'iat', 'sub', 'client_id', 'jti'],
  })
  return payload
}

// Live revocation, RFC 7662: one call for each check. Without the credential of a service account that holds tokens:introspect: none.
async function active(token) {
  if (!SVCAUTH_CLIENT_ID) return true
  const basic = Buffer.from(encodeURIComponent(SVCAUTH_CLIENT_ID) + ':' + encodeURIComponent(SVCAUTH_CLIENT_SECRET)).toString('base64')
  const answer = await fetch(ISSUER + '/oauth2/introspect', {
    method: 'POST', redirect: 'error', signal: AbortSignal.timeout(10_000),
    headers: { authorization: 'Basic ' + basic }, body: new URLSearchParams({ token }),
  })
  if (answer.status !== 200) throw new Error('introspection answered ' + answer.status)
  return (await answer.json()).active === true
}

async function serve(req, res) {
  const refuse = (status, error) => res.writeHead(status, { 'www-authenticate': `Bearer error="${error}"` }).end(error)
  const [, token] = /^Bearer ([A-Za-z0-9._-]+)$/.exec(req.headers.authorization ?? '') ?? []
  if (!token) return res.writeHead(401, { 'www-authenticate': 'Bearer' }).end('no token')
  let claims
  try {
    claims = await check(token)
  } catch (err) {
    // What is wrong with the token is the caller's; that keys can't be fetched is ours.
    const ours = !(err instanceof errors.JOSEError) || err instanceof errors.JWKSTimeout || err.code === 'ERR_JOSE_GENERIC'
    return ours ? res.writeHead(503, { 'retry-after': '5' }).end('the issuer\'s keys are unavailable') : refuse(401, 'invalid_token')
  }
  if (!(claims.scope ?? '').split(' ').includes('clusters:view')) return refuse(403, 'insufficient_scope')
  if (!(await active(token))) return refuse(401, 'invalid_token')
  res.end('hello ' + claims.sub)
}

const [, host, port] = /^(.*):(\d+)$/.exec(LISTEN)
createServer((req, res) => serve(req, res).catch(() => res.writeHead(503, { 'retry-after': '5' }).end())).listen(Number(port), host)
