import assert from "node:assert/strict";
import { test } from "node:test";

import { connect, OutcomeUnknownError, ProblemError, send } from "../src/index.ts";

const problem = (status: number, code: string, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify({ title: code, status, code, detail: "why" }), { status, headers: { "Content-Type": "application/problem+json", ...headers } });

const json = (status: number, body: unknown) => new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });

/** A client whose answers are given one after the other; what was asked is kept. */
function answering(...answers: ((clientId: string) => Response)[]) {
  const asked: { client_id: string; text: string }[] = [];
  const holdline = connect({
    server: "http://example.org/",
    token: "t",
    fetch: async (url, init) => {
      assert.equal(url, "http://example.org/v1/conversations/a%2Fb/messages");
      const body = JSON.parse(init!.body as string);
      asked.push(body);
      return answers[asked.length - 1]!(body.client_id);
    },
  });
  return { holdline, asked };
}

const backoff = { first: 1, most: 2 };

test("what is not certain is repeated with the same client_id", async () => {
  const { holdline, asked } = answering(
    () => { throw new TypeError("the connection broke"); },
    () => new Response("<html>Bad gateway", { status: 502, headers: { "Content-Type": "text/html" } }),
    () => new Response("<html>Sign in to the network", { headers: { "Content-Type": "text/html" } }),
    () => new Response("<html>Forbidden", { status: 403, headers: { "Content-Type": "text/html" } }),
    () => problem(503, "unavailable"),
    () => problem(408, "timeout"),
    () => problem(429, "rate_limited"),
    () => problem(500, "outcome_unknown"),
    () => new Response('{"seq": 7, "cl', { status: 201, headers: { "Content-Type": "application/json" } }),
    () => json(200, { seq: 6, client_id: "somebody else's" }),
    (client_id) => json(200, { conversation_id: "a/b", seq: 7, type: "message", client_id, text: "hello" }),
  );
  const event = await send(holdline, "a/b", "hello", { backoff });
  assert.equal(event.seq, 7);
  assert.equal(asked.length, 11);
  assert.equal(new Set(asked.map((a) => `${a.client_id} ${a.text}`)).size, 1);
  assert.match(asked[0]!.client_id, /^[0-9a-f]{32}$/);
});

test("a refusal by the server is certain", async () => {
  const { holdline, asked } = answering(() => problem(404, "not_found"));
  await assert.rejects(send(holdline, "a/b", "hello", { clientId: "mine", replyTo: 3 }), (e) => e instanceof ProblemError && e.code === "not_found");
  assert.deepEqual(asked, [{ client_id: "mine", text: "hello", reply_to: 3 }]);
});

test("a membership that ended after an attempt leaves the outcome unknown", async () => {
  const { holdline } = answering(() => problem(503, "unavailable"), () => problem(404, "not_found"));
  await assert.rejects(send(holdline, "a/b", "hello", { clientId: "mine", backoff }), (e) => e instanceof OutcomeUnknownError && e.clientId === "mine");
  const other = answering(() => problem(503, "unavailable"), () => problem(409, "client_id_reused"));
  await assert.rejects(send(other.holdline, "a/b", "hello", { backoff }), (e) => e instanceof ProblemError);
});

test("who gives up is told the client_id", async () => {
  const stop = new AbortController();
  const { holdline } = answering(() => { stop.abort(); return problem(503, "unavailable", { "Retry-After": "3600" }); });
  await assert.rejects(send(holdline, "a/b", "hello", { clientId: "mine", signal: stop.signal }),
    (e) => e instanceof OutcomeUnknownError && e.clientId === "mine");
});
