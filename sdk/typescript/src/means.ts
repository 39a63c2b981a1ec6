import { identity, type Holdline } from "./client.ts";

/** What pages of one origin have in common, as far as sharing needs it. */
export interface Means {
  locks: Pick<LockManager, "request">;
  channel(name: string): Channel;
  /** How often a page looks whether whoever holds the connection is still there, in milliseconds. */
  look: number;
  /** Calls when this page is about to stand still, and when it goes on. Returns what ends that. */
  watch(still: () => void, goesOn: () => void): () => void;
}

export type Channel = Pick<BroadcastChannel, "postMessage" | "close" | "onmessage">;

/** Those of this browser; undefined where one is missing. */
export function meansHere(): Means | undefined {
  const { navigator, crypto } = globalThis as { navigator?: Partial<Navigator>; crypto?: Partial<Crypto> };
  if (!navigator?.locks || !crypto?.subtle || typeof BroadcastChannel === "undefined") {
    return undefined;
  }
  return { locks: navigator.locks, channel: (name) => new BroadcastChannel(name), look: 10_000, watch: watchPage };
}

/** A page stands still when it is frozen, or kept to be gone back to; a worker never does by itself. */
function watchPage(still: () => void, goesOn: () => void): () => void {
  if (typeof document === "undefined") {
    return () => undefined;
  }
  const ended = new AbortController();
  const { signal } = ended;
  addEventListener("pagehide", still, { signal });
  addEventListener("pageshow", goesOn, { signal });
  document.addEventListener("freeze", still, { signal });
  document.addEventListener("resume", goesOn, { signal });
  return () => ended.abort();
}

/**
 * What the lock and the channel are called of those who may share; undefined where they cannot. Everybody on the origin can see it,
 * so it tells nothing.
 */
export async function sharedName(means: Means, holdline: Holdline, share: true | string, conversation: string | undefined): Promise<string | undefined> {
  const who = identity(holdline);
  const whose = share === true ? who?.token : share;
  if (whose === undefined) {
    return undefined;
  }
  const text = JSON.stringify([who?.server ?? null, share === true ? "token" : "name", whose, conversation ?? null]);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  // The number is that of the messages' form: pages with another version of this do not meet.
  const name = "holdline-1-" + Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    await means.locks.request(name, { mode: "shared", ifAvailable: true }, () => undefined);
  } catch {
    return undefined; // a page that may not keep anything has no locks
  }
  return name;
}
