import { within } from "./abort.ts";
import { Backoff, sleep, type BackoffOptions } from "./backoff.ts";
import type { Event, Holdline } from "./client.ts";
import { OutcomeUnknownError, PassingError, ProblemError, readAnswer } from "./problem.ts";

export interface SendOptions {
  /**
   * The message's own id, 1 to 64 printable ASCII characters. Without one it is made. An application that keeps what was
   * typed over a restart keeps this with it: a repeat with the same id is never a second message.
   */
  clientId?: string;
  /** The seq replied to. */
  replyTo?: number;
  /** Gives up: then the outcome may be unknown. */
  signal?: AbortSignal;
  /** How long one attempt may take, in milliseconds. Default 20,000. */
  timeout?: number;
  backoff?: BackoffOptions;
}

const mayHaveEnded = new Set([401, 403, 404]);

/** A new id for a message: 128 random bits. */
export function newClientId(): string {
  // Not randomUUID, which browsers have on secure origins only.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Sends a message, and repeats it until the answer is certain: an answer that was cut, a proxy's page, 429, 503 and the
 * like say nothing, so the same message with the same `clientId` is sent again.
 *
 * Returns the event that the log holds. Throws {@link ProblemError} when the server refuses it, then it is certainly not
 * stored; and {@link OutcomeUnknownError} when `signal` ended the repeating, or the user's session or membership has ended
 * before the answer was certain.
 */
export async function send(holdline: Holdline, conversation: string, text: string, options: SendOptions = {}): Promise<Event> {
  const { clientId = newClientId(), replyTo, signal, timeout = 20_000 } = options;
  const backoff = new Backoff(options.backoff);
  let unknown = false; // an attempt may have stored it
  const body = JSON.stringify({ client_id: clientId, text, ...(replyTo === undefined ? {} : { reply_to: replyTo }) });
  const path = `/v1/conversations/${encodeURIComponent(conversation)}/messages`;
  const headers = { "Content-Type": "application/json" };
  for (;;) {
    try {
      const event = await within(timeout, signal, async (signal) => readAnswer<Event>(await holdline.request(path, { method: "POST", headers, body, signal })));
      if (event.client_id === clientId) {
        return event;
      }
      throw new PassingError("an answer that is not the message's own"); // a portal's, or a cache's
    } catch (error) {
      if (error instanceof ProblemError) {
        // What these speak of may have ended after the message was stored.
        throw unknown && mayHaveEnded.has(error.problem.status) ? new OutcomeUnknownError(clientId, error) : error;
      }
      unknown = true;
      try {
        await sleep(backoff.failed(error instanceof PassingError ? error.retryAfter : undefined), signal);
      } catch {
        throw new OutcomeUnknownError(clientId, error);
      }
    }
  }
}
