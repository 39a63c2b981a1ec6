import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

import type { FollowOptions, Receipt, State } from "../src/index.ts";
import { Follower } from "../src/follow.ts";
import { Browser, Tab } from "./browser.ts";
import { FakeServer } from "./fakeserver.ts";

const patience = 20_000;

export async function until(what: string, holds: () => boolean): Promise<void> {
  for (const deadline = performance.now() + patience; !holds(); await pause(2)) {
    assert.ok(performance.now() < deadline, `this does not come true: ${what}`);
  }
}

/** A page that follows with others, and holds everything that it is given against what following alone would give. */
export class Page {
  readonly tab: Tab;
  readonly seen: string[] = [];
  readonly receipts: Receipt[] = [];
  readonly states: State[] = [];
  polls = 0;
  resets = 0;
  snapshots = 0;
  ended: unknown;
  follower: Follower;
  #server: FakeServer;
  #stop = new AbortController();
  #done: Promise<void>;
  #gate: Promise<void> | undefined;
  #open: (() => void) | undefined;
  #began: number; // how many events it does not have to be given

  constructor(browser: Browser, server: FakeServer, options: FollowOptions = {}, held = false) {
    this.tab = browser.tab();
    this.#server = server;
    this.#began = options.cursor === undefined ? 0 : server.covered(options.cursor);
    const client = server.client(() => this.polls++);
    this.follower = new Follower(
      client,
      { share: true, timing: { backoff: { first: 5, most: 20 } }, signal: this.#stop.signal, onState: (state) => this.states.push(state), ...options },
      this.tab.means,
    );
    if (held) {
      this.hold();
    }
    this.#done = this.#run();
  }

  async #run(): Promise<void> {
    try {
      for await (const item of this.follower) {
        switch (item.kind) {
          case "snapshot":
            this.snapshots++;
            this.#began = this.#server.covered(item.cursor!);
            break;
          case "reset":
            this.resets++;
            this.seen.length = 0;
            break;
          case "event":
            this.seen.push(`${item.event.conversation_id} ${item.event.seq}`);
            if (item.cursor !== undefined) {
              const covers = this.#server.covered(item.cursor);
              assert.equal(covers - this.#began, this.seen.length, "a cursor covers what was given, and nothing else");
              const seen = new Set(this.seen);
              assert.ok(this.#server.events.slice(this.#began, covers).every((e) => seen.has(`${e.conversation_id} ${e.seq}`)));
            }
            break;
          case "receipt":
            this.receipts.push(item.receipt);
            break;
          default:
            assert.fail(`an item ${item.kind}`);
        }
        await this.#gate;
      }
    } catch (error) {
      this.ended = error;
    }
  }

  hold(): void {
    this.#gate = new Promise((resolve) => (this.#open = resolve));
  }

  release(): void {
    this.#gate = undefined;
    this.#open!();
  }

  async leave(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  /** Waits until everything is there, and sees that it is there once and in order. */
  async complete(): Promise<void> {
    const all = () => this.#server.events.slice(this.#began);
    await until("it has everything", () => this.ended !== undefined || this.seen.length >= all().length);
    assert.equal(this.ended, undefined);
    for (const conversation of new Set(all().map((e) => e.conversation_id))) {
      const own = (list: string[]) => list.filter((s) => s.startsWith(`${conversation} `));
      assert.deepEqual(own(this.seen), own(all().map((e) => `${e.conversation_id} ${e.seq}`)));
    }
    assert.equal(this.seen.length, all().length);
  }

  async fed(): Promise<void> {
    await until("it is fed", () => this.states.at(-1)?.state === "connected");
  }
}

/** Some pages, of which the first leads. */
export async function pages(count: number, server: FakeServer, options: FollowOptions = {}): Promise<{ browser: Browser; all: Page[] }> {
  const browser = new Browser();
  const all: Page[] = [];
  for (let n = 0; n < count; n++) {
    all.push(new Page(browser, server, options));
    await all[n]!.fed();
  }
  assert.equal(browser.holder(), all[0]!.tab);
  return { browser, all };
}

export async function over(browser: Browser, server: FakeServer, all: Page[]): Promise<void> {
  await Promise.all(all.map((page) => page.leave()));
  await until("the locks are free", () => browser.holder() === undefined);
  assert.deepEqual([browser.channels.size, browser.waiting(), server.open], [0, 0, 0], "channels, requests for locks and streams that are left");
  assert.ok(all.every((page) => page.tab.still === undefined), "nobody watches the page any more");
}
