import assert from "node:assert/strict";
import { test } from "node:test";

import { Browser } from "./browser.ts";
import { FakeServer } from "./fakeserver.ts";
import { over, Page, pages, until } from "./sharedpage.ts";

// What a page that joins is told of by a leader whose connection is behind its own answers, or ahead of them.

test("a leader that does not know yet that the log is another one misleads nobody", async () => {
  const server = new FakeServer();
  const { browser, all } = await pages(1, server, { timing: { backoff: { first: 3000, most: 3000 } } });
  for (const conversation of ["a", "a", "a", "b"]) {
    server.say(conversation);
  }
  await all[0]!.complete();
  server.restore(); // it waits now before it comes back
  server.say("a");
  const second = new Page(browser, server);
  await until("the second has begun", () => second.snapshots === 1);
  server.say("a");
  server.say("b");
  await second.complete();
  assert.equal(all[0]!.resets, 0);
  await until("the first is told", () => all[0]!.resets === 1 && all[0]!.snapshots === 2);
  server.say("a");
  server.say("b");
  await Promise.all([all[0]!, second].map((page) => page.complete()));
  await over(browser, server, [...all, second]);
});

test("of a conversation that its own answers do not have yet a page is given the beginning, too", async () => {
  const server = new FakeServer();
  server.say("a");
  const { browser, all } = await pages(1, server);
  server.say("new");
  server.say("new");
  await all[0]!.complete();
  server.pollsLag = 2; // another server answers polls, and is behind
  const second = new Page(browser, server, { cursor: "1-1", positions: [["a", 1]] });
  await second.fed();
  server.say("new");
  await all[0]!.complete();
  server.pollsLag = 0;
  server.wake();
  await second.complete();
  assert.deepEqual(second.seen, ["new 1", "new 2", "new 3"]);
  await over(browser, server, [...all, second]);
});

test("a page that was not told of all conversations is fed before long", async () => {
  const server = new FakeServer();
  const { browser, all } = await pages(1, server);
  server.say("a");
  server.say("b");
  await all[0]!.complete();
  const second = new Page(browser, server, { cursor: "1-2" });
  await second.fed();
  for (const deadline = performance.now() + 20_000; ; ) {
    const before = second.polls;
    server.say("c");
    await second.complete();
    if (second.polls === before) {
      break;
    }
    assert.ok(performance.now() < deadline, "it still polls");
  }
  assert.equal(second.follower.completeTo("a"), 1);
  server.say("a");
  await second.complete();
  await over(browser, server, [...all, second]);
});

test("the latest cursor does not go back behind a snapshot", async () => {
  const server = new FakeServer();
  const { browser, all } = await pages(1, server);
  server.say("a");
  await all[0]!.complete();
  server.streamsTo = 1; // the leader's connection is slow
  server.say("a");
  server.say("a");
  server.say("b");
  const second = new Page(browser, server);
  await second.fed();
  await until("it has begun", () => second.snapshots === 1);
  server.streamsTo = 2;
  server.wake();
  await until("the leader has one of them", () => all[0]!.seen.length === 2);
  for (let n = 0; n < 10; n++) {
    await new Promise(setImmediate); // until it has come to the second, too
  }
  assert.equal(server.covered(second.follower.cursor!), 4);
  server.streamsTo = Infinity;
  server.say("a");
  await Promise.all([all[0]!, second].map((page) => page.complete()));
  assert.equal(server.covered(second.follower.cursor!), 5);
  await over(browser, server, [...all, second]);
});

test("a page that is far behind reads it once, and leads when it has", async () => {
  const server = new FakeServer();
  for (let n = 0; n < 900; n++) {
    server.say("a");
  }
  const browser = new Browser();
  const page = new Page(browser, server, { cursor: "1-0" });
  await page.fed();
  await page.complete();
  assert.equal(server.streamed, 0);
  await over(browser, server, [page]);
});
