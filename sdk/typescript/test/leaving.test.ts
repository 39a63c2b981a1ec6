import assert from "node:assert/strict";
import { test } from "node:test";

import { Follower, type FollowOptions, type State } from "../src/index.ts";
import { Browser } from "./browser.ts";
import { FakeServer } from "./fakeserver.ts";
import { over, Page, pages, until } from "./sharedpage.ts";

const ways: FollowOptions[] = [
  { share: false, transport: "stream" },
  { share: false, transport: "poll" },
  { share: true },
];

for (const options of ways) {
  test(`after an abort nothing is given: ${JSON.stringify(options)}`, async () => {
    const server = new FakeServer();
    const stop = new AbortController();
    const tab = new Browser().tab();
    let connected = false;
    const onState = ({ state }: State) => (connected = state === "connected");
    const follower = new Follower(server.client(), { ...options, cursor: "1-0", signal: stop.signal, onState }, tab.means);
    for (let n = 0; n < 5; n++) {
      server.say("a");
    }
    const given: number[] = [];
    const all = async () => {
      for await (const item of follower) {
        if (item.kind === "event" && given.push(item.event.seq) === 7) {
          stop.abort(new Error("enough"));
        } else if (given.length === 5) {
          void until("it is connected", () => connected).then(() => {
            for (let n = 0; n < 5; n++) {
              server.say("a"); // at once: they wait together
            }
          });
        }
      }
    };
    await assert.rejects(all(), /enough/);
    assert.deepEqual(given, [1, 2, 3, 4, 5, 6, 7]);
    assert.equal(server.open, 0);
  });
}

test("a page that is told to end lets the others have the connection, whatever its application does", async () => {
  const server = new FakeServer();
  const { browser, all } = await pages(2, server);
  const [leader, second] = all as [Page, Page];
  leader.hold();
  server.say("a");
  await second.complete();
  const left = leader.leave();
  await until("the second leads", () => browser.holder() === second.tab);
  server.say("a");
  await second.complete();
  assert.equal(server.open, 1);
  leader.release();
  await left;
  await over(browser, server, [second]);
});

test("an error of the application's own is no failure of the connection", async (t) => {
  const thrown: unknown[] = [];
  t.mock.method(globalThis, "queueMicrotask", (what: () => void) => assert.throws(what, (e) => thrown.push(e) > 0));
  for (const options of ways) {
    const server = new FakeServer();
    const states: State[] = [];
    const onState = (state: State) => {
      states.push(state);
      throw new Error("the application's");
    };
    const browser = new Browser();
    const first = new Page(browser, server, { ...options, onState });
    await until("it is connected", () => states.length > 0);
    server.say("a");
    await first.complete();
    assert.deepEqual(states.map((s) => s.state), ["connected"]);
    assert.equal(server.most <= 1, true);
    await over(browser, server, [first]);
  }
  assert.ok(thrown.every((e) => /the application's/.test(String(e))));
});

for (const share of [false, true]) {
  test(`an error in the loop is the loop's, and nothing is left of it: ${share ? "shared" : "alone"}`, async () => {
    const server = new FakeServer();
    const browser = new Browser();
    const follower = new Follower(server.client(), { share, cursor: "1-0" }, browser.tab().means);
    server.say("a");
    const all = async () => {
      for await (const item of follower) {
        throw new Error(`the application's, at ${item.kind}`);
      }
    };
    await assert.rejects(all(), /the application's, at event/);
    await until("nothing is left", () => server.open === 0 && browser.channels.size === 0 && browser.holder() === undefined && browser.waiting() === 0);
  });
}
