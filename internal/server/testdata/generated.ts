// A small client on the types that a generator makes of /openapi.json; compiled by a test, never run.
import type { components, operations, paths } from "./svcauth.d.ts";

type Create = operations["createServiceAccount"];
type List = paths["/v1/service-accounts"]["get"];
type Problem = components["schemas"]["Problem"];

export async function create(issuer: string, token: string, name: string): Promise<{ id: string; secret: string | undefined; tag: string | null }> {
  const body: Create["requestBody"]["content"]["application/json"] = { name, role_ids: [], token_ttl_seconds: 600 };
  const answer = await fetch(`${issuer}/v1/service-accounts`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (answer.status !== 201) {
    const problem: Problem = await answer.json();
    throw new Error(`${problem.status} ${problem.code}: ${problem.detail} (${(problem.errors ?? []).map((e) => e.location).join(", ")})`);
  }
  const account: Create["responses"][201]["content"]["application/json"] = await answer.json();
  return { id: account.id, secret: account.client_secret, tag: answer.headers.get("ETag") };
}

export async function* accounts(issuer: string, token: string): AsyncGenerator<components["schemas"]["ServiceAccount"]> {
  const query: NonNullable<List["parameters"]["query"]> = { limit: 200, name: "nightly" };
  for (let next: string | null = ""; next !== null; ) {
    const search = new URLSearchParams({ limit: String(query.limit), name: query.name ?? "", ...(next && { cursor: next }) });
    const answer = await fetch(`${issuer}/v1/service-accounts?${search}`, { headers: { Authorization: `Bearer ${token}` } });
    const page: List["responses"][200]["content"]["application/json"] = await answer.json();
    yield* page.items;
    next = page.next_cursor;
  }
}

// null takes an expiry away; an absent one stays.
export const patch: operations["updateSecret"]["requestBody"]["content"]["application/json"] = { expires_at: null };

export function enforced(answer: operations["deleteServiceAccount"]["responses"][200]["content"]["application/json"]): boolean {
  return answer.enforced >= answer.connected;
}

// The OAuth2 endpoints: the form, the token and the codes of a refusal have types of their own.
export async function token(issuer: string, id: string, secret: string): Promise<string> {
  type Token = paths["/oauth2/token"]["post"];
  const form: NonNullable<Token["requestBody"]>["content"]["application/x-www-form-urlencoded"] = { grant_type: "client_credentials", resource: [issuer] };
  const answer = await fetch(`${issuer}/oauth2/token`, {
    method: "POST",
    headers: { Authorization: "Basic " + btoa(`${id}:${secret}`) },
    body: new URLSearchParams([["grant_type", form.grant_type], ...(form.resource ?? []).map((r): [string, string] => ["resource", r])]),
  });
  if (answer.status === 401) {
    const refusal: Token["responses"][401]["content"]["application/json"] = await answer.json();
    throw new Error(refusal.error === "invalid_client" ? refusal.error_description : "");
  }
  const got: Token["responses"][200]["content"]["application/json"] = await answer.json();
  return got.access_token;
}
