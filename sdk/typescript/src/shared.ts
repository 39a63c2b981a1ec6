import { Backoff, sleep } from "./backoff.ts";
import type { Taken } from "./connection.ts";
import type { Feed } from "./feed.ts";
import type { Item } from "./follow.ts";
import { Haste } from "./haste.ts";
import type { Means } from "./means.ts";
import { Overlap } from "./overlap.ts";
import { PassingError, ProblemError } from "./problem.ts";
import type { Reader } from "./reader.ts";
import { Tabs } from "./tabs.ts";

/** How long a leader is waited for before this tab holds a poll of its own, and how long that is held, in milliseconds. */
const welcomeWait = 500;
const ownWait = 5000;

/**
 * How long after a conversation was made, in milliseconds, a server may answer without it; and how long a poll is held meanwhile.
 * A server looks every second for what it was not told of.
 */
const newsTime = 2500;
const newsWait = 3000;

/** A feed that was over sooner, without a single item, is a failure. */
const shortFeed = 5000;

/**
 * Reads what a leader hands on. Whenever that begins, ends or breaks off, this tab catches up from its own cursor at the
 * server: that is the one way in which a gap between tabs is closed, and in which a reset or an end is found.
 */
export class Shared {
  readonly #reader: Reader;
  readonly #tabs: Tabs;
  readonly #backoff: Backoff;
  /** Conversations that a leader knows and this tab does not, and since when. */
  readonly #strange = new Map<string, number>();

  constructor(reader: Reader, means: Means, name: string) {
    this.#reader = reader;
    this.#tabs = new Tabs(means, name, reader);
    this.#backoff = new Backoff(reader.timing.backoff);
  }

  async *items(): AsyncGenerator<Item, void, undefined> {
    const { signal } = this.#reader.options;
    // The application may be long over an item: the others are not to wait for it.
    const close = () => this.#tabs.close();
    signal?.addEventListener("abort", close);
    this.#tabs.open();
    try {
      for (;;) {
        signal?.throwIfAborted();
        let wait = 0;
        try {
          yield* this.#reader.begin();
          const overlap = new Overlap();
          const feed = yield* this.#catchUp(overlap);
          if (!(yield* this.#fed(feed, overlap))) {
            wait = this.#backoff.failed();
          }
        } catch (caught) {
          const { error, times } = yield* this.#reader.failed(caught);
          wait = this.#backoff.failed(error instanceof PassingError ? error.retryAfter : undefined, times);
          if (!(error instanceof ProblemError)) {
            this.#reader.tell({ state: "reconnecting", error, after: wait });
          }
        }
        await sleep(wait, signal);
      }
    } finally {
      signal?.removeEventListener("abort", close);
      close();
    }
  }

  /**
   * Reads pages until there is a feed, and nothing more at the server that came before it. What is handed on
   * meanwhile waits in the feed.
   */
  async *#catchUp(overlap: Overlap): AsyncGenerator<Item, Feed, undefined> {
    const reader = this.#reader;
    const haste = new Haste(reader.timing.backoff);
    let waited = false;
    for (let wait = 0; ; ) {
      await this.#tabs.awake();
      reader.options.signal?.throwIfAborted();
      this.#tabs.join();
      const { feed } = this.#tabs;
      const { page, pause } = await haste.poll(reader.target(), wait);
      for (const taken of page.items) {
        overlap.note(taken);
        yield* reader.take(taken, false);
      }
      reader.took(page);
      wait = 0;
      if (page.more) {
        continue; // to lead before would have all of this read a second time
      }
      this.#tabs.ready();
      if (feed && feed === this.#tabs.feed) {
        if (yield* this.#agrees(feed)) {
          overlap.settle(feed.places);
          return feed;
        }
        feed.end();
        wait = newsWait;
        continue;
      }
      if (!waited) {
        waited = true;
        await this.#tabs.welcomed(welcomeWait);
      }
      reader.options.signal?.throwIfAborted();
      if (pause > 0) {
        await sleep(pause, reader.options.signal);
      }
      wait = this.#tabs.feed ? 0 : ownWait;
    }
  }

  /**
   * Makes sure that this tab has whatever the leader's cursor covers. False while it cannot: the server that answered this tab has
   * not heard of a new conversation yet, or the leader has not heard that the log is another one now. Both pass.
   */
  async *#agrees(feed: Feed): AsyncGenerator<Item, boolean, undefined> {
    const { places } = this.#reader;
    const now = performance.now();
    const strange = [...feed.places].filter(([conversation]) => places.completeTo(conversation) === undefined);
    for (const [conversation] of strange) {
      this.#strange.set(conversation, this.#strange.get(conversation) ?? now);
    }
    if (strange.some(([conversation]) => now - this.#strange.get(conversation)! < newsTime)) {
      return false;
    }
    for (const [conversation, seq] of feed.places) {
      if (places.completeTo(conversation) === undefined) {
        continue;
      }
      yield* this.#reader.fill(conversation, seq);
      if (places.completeTo(conversation)! < seq) {
        return false;
      }
    }
    // Of these this tab was never told, and would have been by now: its cursor covers them.
    strange.forEach(([conversation, seq]) => places.know(conversation, seq));
    this.#strange.clear();
    return true;
  }

  /** Gives what comes until the feed is over; false if that was hardly a feed. */
  async *#fed(feed: Feed, overlap: Overlap): AsyncGenerator<Item, boolean, undefined> {
    const since = performance.now();
    let any = false;
    for (let taken: Taken | undefined; (taken = await feed.next(this.#reader.options.signal)); ) {
      any = true;
      this.#backoff.succeeded();
      const news = overlap.without(taken);
      if (news) {
        yield* this.#reader.take(news, false);
      }
    }
    const { malformed } = feed;
    if (malformed && !this.#reader.isPast(malformed)) {
      throw this.#reader.malformed(malformed, new Error(malformed.why));
    }
    return any || performance.now() - since >= shortFeed;
  }
}
