import type { Channel, Means } from "../src/means.ts";

interface Request {
  tab: Tab;
  exclusive: boolean;
  grant: () => void;
  steal: () => void;
}

/** Stands for a browser: what its tabs have in common, in one process. */
export class Browser {
  readonly channels = new Set<TabChannel>();
  readonly #held = new Map<string, Request>();
  readonly #queued = new Map<string, Request[]>();

  /** Whose lock it is. */
  holder(): Tab | undefined {
    return [...this.#held.values()][0]?.tab;
  }

  tab(): Tab {
    return new Tab(this);
  }

  request(tab: Tab, name: string, options: LockOptions, callback: LockGrantedCallback<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (options.ifAvailable && this.#held.has(name)) {
        resolve(callback(null));
        return;
      }
      const request: Request = {
        tab,
        exclusive: true,
        steal: () => reject(new DOMException("stolen", "AbortError")),
        grant: () => {
          this.#held.set(name, request);
          // As in a browser the callback is called later than the request is made.
          void Promise.resolve()
            .then(() => callback({ name, mode: "exclusive" }))
            .then(resolve, reject)
            .finally(() => this.release(name, request));
        },
      };
      if (options.steal) {
        this.#held.get(name)?.steal();
        request.grant();
        return;
      }
      this.#queued.set(name, [...(this.#queued.get(name) ?? []), request]);
      options.signal?.addEventListener("abort", () => {
        this.#queued.set(name, this.#queued.get(name)!.filter((r) => r !== request));
        reject(options.signal!.reason);
      });
      this.#next(name);
    });
  }

  release(name: string, request: Request): void {
    if (this.#held.get(name) === request) {
      this.#held.delete(name);
      this.#next(name);
    }
  }

  /** What a browser does when a tab has crashed. */
  forget(tab: Tab): void {
    for (const [name, queued] of this.#queued) {
      this.#queued.set(name, queued.filter((r) => r.tab !== tab));
    }
    for (const [name, request] of this.#held) {
      if (request.tab === tab) {
        this.release(name, request);
      }
    }
  }

  /** How many requests for locks wait. */
  waiting(): number {
    return [...this.#queued.values()].flat().length;
  }

  #next(name: string): void {
    if (!this.#held.has(name)) {
      this.#queued.get(name)?.shift()?.grant();
    }
  }
}

export class Tab {
  readonly means: Means;
  frozen = false;
  crashed = false;
  still: (() => void) | undefined;
  goesOn: (() => void) | undefined;
  readonly #browser: Browser;
  readonly #late: (() => void)[] = [];

  constructor(browser: Browser) {
    this.#browser = browser;
    this.means = {
      locks: { request: (name: string, options: LockOptions, callback: LockGrantedCallback<unknown>) => browser.request(this, name, options, callback) } as Means["locks"],
      channel: (name) => new TabChannel(browser, this, name),
      look: 25,
      watch: (still, goesOn) => {
        Object.assign(this, { still, goesOn });
        return () => Object.assign(this, { still: undefined, goesOn: undefined });
      },
    };
  }

  /** Runs something in the tab: at once, once it has thawed, or never. */
  run(what: () => void): void {
    if (this.frozen) {
      this.#late.push(what);
    } else if (!this.crashed) {
      what();
    }
  }

  thaw(): void {
    this.frozen = false;
    this.#late.splice(0).forEach((what) => what());
  }

  /** It says nothing any more, and the browser knows. */
  crash(): void {
    this.crashed = true;
    this.#browser.forget(this);
  }
}

class TabChannel implements Channel {
  onmessage: Channel["onmessage"] = null;
  readonly #browser: Browser;
  readonly #tab: Tab;
  readonly name: string;

  constructor(browser: Browser, tab: Tab, name: string) {
    this.#browser = browser;
    this.#tab = tab;
    this.name = name;
    browser.channels.add(this);
  }

  postMessage(message: unknown): void {
    if (!this.#browser.channels.has(this)) {
      throw new DOMException("closed", "InvalidStateError");
    }
    if (this.#tab.frozen || this.#tab.crashed) {
      return;
    }
    for (const other of this.#browser.channels) {
      if (other !== this && other.name === this.name) {
        const data: unknown = structuredClone(message);
        setImmediate(() => other.#tab.run(() => this.#browser.channels.has(other) && other.onmessage?.call(other as never, { data } as MessageEvent)));
      }
    }
  }

  close(): void {
    this.#browser.channels.delete(this);
  }
}
