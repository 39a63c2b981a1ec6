import assert from "node:assert/strict";
import { test } from "node:test";

import { Acks, connect, Follower, send } from "../src/index.ts";
import { within } from "../src/abort.ts";
import { Browser } from "./browser.ts";
import { FakeServer } from "./fakeserver.ts";

const patience = 5000;

test("browsers of 2022, which cannot combine signals, follow, share and send", { timeout: 4 * patience }, async (t) => {
  const server = new FakeServer();
  for (const name of ["any", "timeout"] as const) {
    const own = Object.getOwnPropertyDescriptor(AbortSignal, name)!;
    Object.defineProperty(AbortSignal, name, { ...own, value: undefined });
    t.after(() => Object.defineProperty(AbortSignal, name, own));
  }
  const browser = new Browser();
  const ways = [
    { transport: "stream" }, // alone
    { transport: "poll" },
    { share: true, transport: "stream" },
  ] as const;
  for (const options of ways) {
    const stop = new AbortController();
    const patient = setTimeout(() => stop.abort(new Error(`nothing comes with ${JSON.stringify(options)}`)), patience);
    const from = `1-${server.events.length}`;
    const follower = new Follower(server.client(), { ...options, cursor: from, signal: stop.signal }, browser.tab().means);
    const given: number[] = [];
    server.say("a");
    for await (const item of follower) {
      given.push(item.kind === "event" ? item.event.seq : 0);
      if (given.length === 2) {
        break;
      }
      setTimeout(() => server.say("a"), 20); // this one comes over the connection that is held
    }
    clearTimeout(patient);
    assert.equal(given[1], given[0]! + 1);
  }

  const holdline = connect({
    server: "http://server",
    fetch: async (url, init) =>
      String(url).endsWith("/acks")
        ? new Response(null, { status: 204 })
        : new Response(JSON.stringify({ seq: 1, client_id: JSON.parse(init!.body as string).client_id }), { headers: { "Content-Type": "application/json" } }),
  });
  assert.equal((await send(holdline, "a", "hello", { signal: new AbortController().signal })).seq, 1);
  const acks = new Acks(holdline);
  acks.read("a", 1);
  await acks.close();
});

test("a call ends when its time is over or another signal says so, and leaves nothing behind", async () => {
  const never = (signal: AbortSignal) => new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  await assert.rejects(within(1, undefined, never), { name: "TimeoutError" });
  const stop = new AbortController();
  const stopped = within(60_000, stop.signal, never);
  stop.abort(new Error("enough"));
  await assert.rejects(stopped, /enough/);
  await assert.rejects(within(60_000, stop.signal, never), /enough/);
  assert.equal(await within(60_000, new AbortController().signal, async () => 7), 7);
});
