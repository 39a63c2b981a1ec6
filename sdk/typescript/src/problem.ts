import type { components } from "./schema.gen.ts";

/** What the server says about a refusal (RFC 9457), with a `code` that does not change. */
export type Problem = components["schemas"]["Problem"];

/** The server has refused a call, or ended a stream, and will not answer it otherwise. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(`${problem.code}: ${problem.detail ?? problem.title}`);
    this.name = "ProblemError";
    this.problem = problem;
  }

  /** The problem's stable code, `not_found` for example. */
  get code(): string {
    return this.problem.code;
  }
}

/**
 * Nobody knows whether the message was accepted: the call was given up before an
 * answer was certain. Sending again with this `clientId` and the same text makes it certain.
 */
export class OutcomeUnknownError extends Error {
  readonly clientId: string;

  constructor(clientId: string, cause: unknown) {
    super("it is not known whether the message was accepted; send it again with the same clientId", { cause });
    this.name = "OutcomeUnknownError";
    this.clientId = clientId;
  }
}

/** A failure that may pass: the connection, a proxy, a server that is going down. */
export class PassingError extends Error {
  /** How long the server asks to wait, in milliseconds. */
  readonly retryAfter: number | undefined;
  /** An answer came, and it was not the server's own: something on the way does not let this through. */
  foreign = false;

  constructor(message: string, retryAfter?: number, cause?: unknown) {
    super(message, { cause });
    this.name = "PassingError";
    this.retryAfter = retryAfter;
  }
}

/** Nothing came for too long. */
export class SilenceError extends PassingError {}

/** Statuses that say nothing about what comes of a repeat (RFC 9110, RFC 6585). */
const passing = new Set([408, 425, 429]);

/**
 * Reads the JSON of an answer. A refusal by the server itself throws
 * {@link ProblemError}; whatever else is no JSON of the server's (a proxy's page, an answer that was cut)
 * throws {@link PassingError}.
 */
export async function readAnswer<T>(response: Response): Promise<T> {
  const type = mediaType(response);
  let body: unknown;
  try {
    body = type === "application/json" || type === "application/problem+json" ? await response.json() : undefined;
  } catch (cause) {
    throw new PassingError(`an answer of status ${response.status} was cut`, undefined, cause);
  }
  if (response.ok && type === "application/json") {
    return body as T;
  }
  await response.body?.cancel().catch(() => undefined);
  refuse(response, body);
}

/** Throws what an answer other than the expected one means. */
export function refuse(response: Response, body: unknown): never {
  const { status } = response;
  const own = mediaType(response) === "application/problem+json" && isProblem(body);
  if (own && status >= 400 && status < 500 && !passing.has(status)) {
    throw new ProblemError(body);
  }
  const why = own ? `${body.code}: ${body.detail ?? body.title}` : `an answer of status ${status} that is not the server's own`;
  const error = new PassingError(why, retryAfter(response));
  error.foreign = !own;
  throw error;
}

export function mediaType(response: Response): string {
  return (response.headers.get("Content-Type") ?? "").split(";", 1)[0]!.trim().toLowerCase();
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && typeof (body as Problem).code === "string";
}

/** Retry-After in seconds (RFC 9110 section 10.2.3), in milliseconds here; Holdline sends no dates. */
function retryAfter(response: Response): number | undefined {
  const value = response.headers.get("Retry-After") ?? "";
  return /^\d{1,6}$/.test(value) ? Number(value) * 1000 : undefined;
}
