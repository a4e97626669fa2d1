"use strict";
// Shows openapi.json. Texts go into the page as text, never as HTML.

const verbs = ["get", "post", "put", "patch", "delete"];
let doc;

function el(tag, props, ...children) {
  const node = Object.assign(document.createElement(tag), props || {});
  node.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return node;
}

// prose makes paragraphs, and code of what stands in backquotes.
function prose(text) {
  return (text || "").split(/\n\n+/).filter(Boolean).map((paragraph) => el("p", {}, ...paragraph.split("`").map((part, i) => (i % 2 ? el("code", {}, part) : part))));
}

function resolve(schema) {
  while (schema && schema.$ref) schema = schema.$ref.split("/").slice(1).reduce((at, key) => at[key], doc);
  return schema || {};
}

function nameOf(schema) {
  if (schema.allOf) return nameOf(schema.allOf[0]);
  if (schema.$ref) return schema.$ref.split("/").pop();
  const type = [].concat(schema.type || "any");
  const main = type.find((t) => t !== "null");
  const text = main === "array" ? "array of " + nameOf(schema.items || {}) : main + (schema.format ? " (" + schema.format + ")" : "");
  return text + (type.includes("null") ? " or null" : "");
}

function limits(schema) {
  const of = [];
  if (schema.minimum !== undefined || schema.maximum !== undefined) of.push((schema.minimum ?? "…") + " to " + (schema.maximum ?? "…"));
  if (schema.minLength !== undefined || schema.maxLength !== undefined) of.push((schema.minLength ?? 0) + " to " + (schema.maxLength ?? "…") + " characters");
  if (schema.maxItems !== undefined) of.push("at most " + schema.maxItems);
  if (schema.enum) of.push(schema.enum.join(" or "));
  if (schema.pattern) of.push("matches " + schema.pattern);
  if (schema.default !== undefined) of.push("default " + schema.default);
  return of.length ? " · " + of.join(" · ") : "";
}

function row(name, schema, required, words, seen) {
  const inner = resolve(schema.items || schema);
  const ref = (schema.items || schema).$ref;
  const detail = el("dd", {}, words || schema.description || inner.description || "");
  if (ref && inner.properties && !seen.includes(ref)) detail.append(fields(inner, seen.concat(ref)));
  return [el("dt", {}, el("code", {}, name), " ", el("span", { className: "kind" }, nameOf(schema) + limits(schema)), required ? el("span", { className: "must" }, " required") : ""), detail];
}

function fields(schema, seen) {
  const list = el("dl");
  for (const [name, property] of Object.entries(schema.properties || {})) {
    list.append(...row(name, property, (schema.required || []).includes(name), property.description, seen));
  }
  return list;
}

// bodyOf is the media type and the body of a request.
function bodyOf(op) {
  return Object.entries(op.requestBody.content)[0];
}

// sample makes a small value that fits a request's schema: what it requires, or else its first field.
function sample(schema, name) {
  schema = resolve(schema);
  if (schema.properties) {
    const names = schema.required && schema.required.length ? schema.required : Object.keys(schema.properties).slice(0, 1);
    return Object.fromEntries(names.map((n) => [n, sample(schema.properties[n], n)]));
  }
  const type = [].concat(schema.type)[0];
  if (type === "array") return [];
  if (type === "boolean") return true;
  if (type === "integer" || type === "number") return schema.minimum || 1;
  if (schema.format === "date-time") return "2030-01-31T12:00:00Z";
  return /email/.test(name) ? "ann@example.com" : "…";
}

// quoted is a word of a shell; variables in it are filled in by the shell.
function quoted(text) {
  return text.includes("$") ? '"' + text + '"' : "'" + text + "'";
}

const client = '-u "$SVCAUTH_CLIENT_ID:$SVCAUTH_CLIENT_SECRET"';

function curl(verb, path, op) {
  const form = op.requestBody && bodyOf(op)[0] !== "application/json";
  const lines = ["curl" + (verb === "get" || form ? "" : " -X " + verb.toUpperCase()) + " '" + doc.servers[0].url + path + "'"];
  const security = op.security || [];
  if (security.some((s) => s.client_secret_basic)) lines.push(client);
  else if (security.some((s) => s.token)) lines.push('-H "Authorization: Bearer $TOKEN"');
  if (form) {
    for (const [name, value] of Object.entries(bodyOf(op)[1].example)) lines.push("-d " + quoted(name + "=" + value));
  } else if (op.requestBody) {
    const body = bodyOf(op)[1];
    lines.push("-H 'Content-Type: application/json'", "-d '" + JSON.stringify(body.example || sample(body.schema)) + "'");
  }
  return lines.join(" \\\n  ");
}

function code(text) {
  return el("pre", { tabIndex: 0 }, el("code", {}, text));
}

function block(title, ...content) {
  return [el("h3", {}, title), ...content];
}

function example(value) {
  return code(typeof value === "string" ? value : JSON.stringify(value, null, 2));
}

function responses(op) {
  const list = el("dl");
  for (const [status, response] of Object.entries(op.responses || {})) {
    const contents = Object.entries(response.content || {});
    const schema = contents.length ? contents[0][1].schema : null;
    const detail = el("dd", {}, ...prose(response.description));
    for (const [name, header] of Object.entries(response.headers || {})) {
      detail.append(el("p", {}, "Header ", el("code", {}, name), header.description ? ": " + header.description : ""));
    }
    if (schema && contents[0][0] === "application/json" && schema.$ref) detail.append(fields(resolve(schema), [schema.$ref]));
    if (status < 300) {
      for (const [media, content] of contents) {
        if (content.example !== undefined) detail.append(el("p", {}, "For example (", el("code", {}, media), "):"), example(content.example));
      }
    }
    list.append(el("dt", {}, el("code", {}, status), " ", el("span", { className: "kind" }, schema ? nameOf(schema) : "")), detail);
  }
  return list;
}

function fill(body, verb, path, op) {
  body.append(...prose(op.description));
  if (op.parameters) {
    const list = el("dl");
    for (const p of op.parameters) list.append(...row(p.name, p.schema || {}, p.required, (p.description || "") + " (" + p.in + ")", []));
    body.append(...block("Parameters", list));
  }
  if (op.requestBody) {
    const [media, content] = bodyOf(op);
    const words = [op.requestBody.required ? "" : "optional", media === "application/json" ? "" : "a form"].filter(Boolean).join(", ");
    body.append(...block("Body" + (words ? " (" + words + ")" : ""), fields(resolve(content.schema), [content.schema.$ref])));
  }
  body.append(...block("With curl", code(curl(verb, path, op))), ...block("Answers", responses(op)));
}

// begin shows what everything else begins with: how to get a token.
function begin() {
  const issuer = doc.servers[0].url;
  const op = doc.paths["/oauth2/token"].post;
  const answer = Object.values(op.responses["200"].content)[0].example;
  document.getElementById("begin").append(
    el("h2", { id: "get-a-token" }, "How to get a token"),
    ...prose("Make a service account in the console, give it a role, and copy its id and secret. Then:"),
    code("export SVCAUTH_CLIENT_ID=sa_… SVCAUTH_CLIENT_SECRET=svcs_…\n" + curl("post", "/oauth2/token", op)),
    ...prose("The answer, for a client whose roles grant one privilege:"),
    example(answer),
    ...prose("Send it to the API as `Authorization: Bearer`, and keep it until shortly before its end. For this server's own calls below, and for the revocation feed, ask for a token that is for this server:"),
    code("TOKEN=$(curl -fsS '" + issuer + "/oauth2/token' \\\n  " + client + " \\\n  -d grant_type=client_credentials -d resource='" + issuer + "' | jq -er .access_token)\ncurl -fsS '" + issuer + "/v1/me' -H \"Authorization: Bearer $TOKEN\""),
    ...prose("`error` in a refusal is for programs, and `error_description` says what was expected."));
}

function call(verb, path, op) {
  const body = el("div", { className: "body" });
  const node = el("details", { className: "call", id: op.operationId },
    el("summary", {}, el("span", { className: "verb " + verb.toUpperCase() }, verb.toUpperCase()), el("code", {}, path), el("span", { className: "what" }, op.summary || "")), body);
  node.addEventListener("toggle", () => {
    if (node.open && !body.firstChild) fill(body, verb, path, op);
  });
  const link = el("li", {}, el("a", { href: "#" + op.operationId }, op.summary || path));
  return { node, link, words: [verb, path, op.operationId, op.summary, op.description, ...(op.tags || [])].join(" ").toLowerCase() };
}

function show() {
  document.title = document.getElementById("title").textContent = doc.info.title;
  document.getElementById("version").textContent = "version " + doc.info.version;
  document.getElementById("intro").append(...prose(doc.info.description));
  begin();
  const groups = doc.tags.map((tag) => {
    const calls = [];
    for (const [path, item] of Object.entries(doc.paths)) {
      for (const verb of verbs) if (item[verb] && (item[verb].tags || [])[0] === tag.name) calls.push(call(verb, path, item[verb]));
    }
    calls.sort((a, b) => (b.node.id === "getToken") - (a.node.id === "getToken"));
    const section = el("section", {}, el("h2", {}, tag.name), ...prose(tag.description), ...calls.map((c) => c.node));
    const index = el("div", {}, el("h2", {}, tag.name), el("ul", {}, ...calls.map((c) => c.link)));
    document.getElementById("calls").append(section);
    document.getElementById("index").append(index);
    return { calls, section, index };
  });
  document.getElementById("search").addEventListener("input", (event) => search(groups, event.target.value));
  window.addEventListener("hashchange", open);
  open();
}

function search(groups, text) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const group of groups) {
    let any = false;
    for (const c of group.calls) {
      const fits = wanted.every((word) => c.words.includes(word));
      c.node.hidden = c.link.hidden = !fits;
      any = any || fits;
      found += fits ? 1 : 0;
    }
    group.section.hidden = group.index.hidden = !any;
  }
  document.getElementById("found").textContent = wanted.length ? found + (found === 1 ? " call" : " calls") : "";
}

function open() {
  const node = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (node && node.tagName === "DETAILS") {
    node.open = true;
    node.scrollIntoView();
  }
}

fetch("openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error("openapi.json: " + answer.status))))
  .then((loaded) => {
    doc = loaded;
    show();
  })
  .catch((fault) => document.getElementById("calls").append(el("p", { role: "alert" }, "The description could not be loaded: " + fault.message)));
