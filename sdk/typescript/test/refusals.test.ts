import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { test } from "node:test";

import { Acks, follow, Follower, PassingError, ProblemError, type FollowOptions } from "../src/index.ts";
import type { Means } from "../src/means.ts";
import { answeredBy, frame, json, problem, stream } from "./answers.ts";
import { Browser } from "./browser.ts";

const backoff = { first: 1, most: 2, mostAsked: 2 };

type Answer = (url: URL, init: RequestInit) => Response;

/** A stream that ends behind its frames; it asks for a minute before the next. */
const ending = (...frames: [event: string, data: unknown, id?: string][]) => stream("retry: 60000\n" + frames.map((f) => frame(...f)).join(""));

const message = (seq: number) => ({ conversation_id: "a", seq, type: "message", text: "" });

/** A client whose requests are answered one after the other, the last way again and again; what was asked is kept. */
function answering(...answers: Answer[]) {
  return answeredBy((url, init, n) => answers[Math.min(n, answers.length - 1)]!(url, init));
}

/** What following gives, up to a number of items. */
async function items(holdline: Parameters<typeof follow>[0], count: number, options: FollowOptions): Promise<string[]> {
  const given: string[] = [];
  for await (const item of follow(holdline, { timing: { backoff }, ...options })) {
    given.push(item.kind === "event" ? `${item.event.conversation_id} ${item.event.seq}` : item.kind);
    if (given.length === count) {
      break;
    }
  }
  return given;
}

test("a stream that ends since there are too many, or the server cannot, is come back to", async () => {
  const errors: unknown[] = [];
  const { holdline, asked } = answering(
    () => ending(["end", { title: "Many", status: 429, code: "rate_limited" }]),
    () => ending(["end", { title: "Away", status: 503, code: "unavailable" }]),
    () => ending(["heartbeat", {}], ["message", message(1), "1"]),
  );
  const onState: FollowOptions["onState"] = (state) => state.state === "reconnecting" && errors.push(state.error);
  assert.deepEqual(await items(holdline, 1, { cursor: "0", transport: "stream", onState }), ["a 1"]);
  assert.equal(asked.length, 3);
  assert.ok(errors.every((e) => e instanceof PassingError) && /rate_limited/.test(String(errors[0])));
  const ended = answering(() => ending(["end", { title: "Over", status: 401, code: "unauthorized" }]));
  await assert.rejects(items(ended.holdline, 1, { cursor: "0", transport: "stream" }), (e) => e instanceof ProblemError && e.code === "unauthorized");
});

for (const transport of ["stream", "poll"] as const) {
  test(`a cursor that is refused, whatever is wrong with it, is a reset: ${transport}`, async () => {
    const { holdline, asked } = answering(
      () => problem(400, "invalid", "cursor"),
      () =>
        transport === "poll"
          ? json({ events: [], receipts: [], cursor: "new", more: false, snapshot: { conversations: [] } })
          : ending(["snapshot", { conversations: [] }, "new"]),
    );
    assert.deepEqual(await items(holdline, 2, { cursor: "strange", transport }), ["reset", "snapshot"]);
    assert.equal(asked[1]!.searchParams.get("cursor"), null);
    const other = answering(() => problem(400, "invalid", "from"));
    await assert.rejects(items(other.holdline, 1, { cursor: "strange", transport }), (e) => e instanceof ProblemError && e.code === "invalid");
  });
}

test("only what the log does not have is missing, not what cannot be fetched now", async () => {
  const gap = () => ending(["heartbeat", {}], ["message", message(3), "3"]);
  const { holdline } = answering(gap, () => problem(401, "unauthorized"), () => problem(401, "unauthorized"));
  const given: string[] = [];
  const all = async () => {
    for await (const item of follow(holdline, { cursor: "1", positions: [["a", 1]], transport: "stream", timing: { backoff } })) {
      given.push(item.kind);
    }
  };
  await assert.rejects(all(), (e) => e instanceof ProblemError && e.code === "unauthorized");
  assert.deepEqual(given, []);
  const left = answering(gap, () => problem(404, "not_found"));
  assert.deepEqual(await items(left.holdline, 2, { cursor: "1", positions: [["a", 1]], transport: "stream" }), ["missing", "a 3"]);
});

for (const share of [false, true]) {
  test(`polls whose empty answers come at once are not made at the speed of the line: ${share ? "shared, and nobody leads" : "alone"}`, async () => {
    const { holdline, asked } = answering(() => json({ events: [], receipts: [], cursor: "1", more: false }));
    const stop = new AbortController();
    const tab = new Browser().tab();
    const request = (_: string, { mode }: LockOptions) => (mode === "shared" ? Promise.resolve() : new Promise(() => undefined));
    const means = { ...tab.means, locks: { request } as unknown as Means["locks"] };
    const options = { cursor: "1", transport: "poll", share, signal: stop.signal, timing: { backoff: { first: 50, most: 1000 } } } as const;
    const ended = assert.rejects(new Follower(holdline, options, means)[Symbol.asyncIterator]().next(), { name: "AbortError" });
    await pause(share ? 1000 : 400); // a leader is waited for, for half a second
    stop.abort();
    await ended;
    assert.ok(asked.length >= 3 && asked.length <= 8, `${asked.length} polls`);
  });
}

test("connections that live, and bring nothing, do not make the waits longer", async () => {
  const waits: number[] = [];
  const { holdline } = answering(() => ending(["heartbeat", {}]));
  const stop = new AbortController();
  const cut: typeof holdline = { ...holdline, request: async (path, init) => {
    const { headers, body } = await holdline.request(path, init);
    const whole = await new Response(body).text();
    const broken = new ReadableStream<Uint8Array>({ start: (c) => c.enqueue(new TextEncoder().encode(whole.replace("retry: 60000\n", ""))), pull: (c) => c.error(new TypeError("cut")) });
    return new Response(broken, { headers });
  } };
  const onState: FollowOptions["onState"] = (state) => {
    if (state.state === "reconnecting" && waits.push(state.after) === 6) {
      stop.abort();
    }
  };
  await assert.rejects(items(cut, 1, { cursor: "1", transport: "stream", signal: stop.signal, onState, timing: { backoff: { first: 4, most: 1000 } } }), { name: "AbortError" });
  assert.ok(waits.every((ms) => ms <= 4), `the waits were ${waits.map(Math.round)} ms`);
});

test("of the marks of one call only those are dropped that the server refuses", async () => {
  const head: Record<string, number> = { a: 3, b: 3, c: 3, d: 3, e: 3 };
  const told: Record<string, Record<string, number>> = { delivered: {}, read: {} };
  const refused: string[] = [];
  let calls = 0;
  const { holdline } = answering((_, init) => {
    calls++;
    const body = JSON.parse(init.body as string) as typeof told;
    const marks = Object.entries(body).flatMap(([part, all]) => Object.entries(all).map(([id, seq]) => ({ part, id, seq })));
    // As the server does: all of a call, or nothing.
    if (marks.some(({ id, seq }) => seq > (head[id] ?? 0))) {
      return problem(409, "conflict", "read");
    }
    marks.forEach(({ part, id, seq }) => (told[part]![id] = seq));
    return new Response(null, { status: 204 });
  });
  const acks = new Acks(holdline, { every: 1, onRefused: (error) => refused.push(error.code) });
  for (const id of Object.keys(head)) {
    acks.delivered(id, 3);
    acks.read(id, id === "c" ? 4 : 2);
  }
  await acks.close();
  assert.deepEqual(told, { delivered: { a: 3, b: 3, c: 3, d: 3, e: 3 }, read: { a: 2, b: 2, d: 2, e: 2 } });
  assert.deepEqual(refused, ["conflict"]);
  assert.ok(calls < 20);
});
