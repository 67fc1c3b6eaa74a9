/**
 * Fetches UserSigs and PrivateMapKeys from usersig_django's endpoints: an ES module without dependencies.
 *
 *     import { UserSigClient } from "/static/usersig_django/client.js";
 *     const client = new UserSigClient({ url: "/api/usersig/" });
 *     await client.login(({ userid, usersig }) => chat.login({ userID: userid, userSig: usersig }));
 *
 * A UserSig is a bearer credential: it stays in memory, and never enters storage, a log, a URL or an error.
 */

/**
 * @typedef {object} UserSig
 * @property {number} sdkappid
 * @property {string} userid Log in to Tencent with this one: the token is valid for no other.
 * @property {string} usersig
 * @property {number} expire Seconds of validity, counted from the receipt of the answer.
 * @property {string} issued_at ISO 8601, by the server's clock: for people to read, not to compute with.
 * @property {string} expires_at As `issued_at`.
 */

/**
 * @typedef {object} PrivateMapKey
 * @property {number} sdkappid
 * @property {string} userid
 * @property {string} private_map_key
 * @property {number} [room_id] Present for a numeric room.
 * @property {string} [str_room_id] Present for a string room.
 * @property {number} privileges
 * @property {number} expire
 * @property {string} issued_at
 * @property {string} expires_at
 */

/** @typedef {{ room_id: number } | { str_room_id: string }} Room A numeric and a string room of one spelling differ. */

/**
 * @typedef {object} UserSigClientOptions
 * @property {string | URL} url Where `usersig_django.urls` is included, with the slash at its end.
 * @property {number} [expire] Seconds to ask for, 60 to the configured value; absent: the configured value.
 * @property {() => HeadersInit | Promise<HeadersInit>} [headers] Called before each request, for
 *   `Authorization`, or for the CSRF token where the cookie is HttpOnly or the token lives in the session.
 * @property {string} [csrfCookieName] Django's CSRF_COOKIE_NAME.
 * @property {string} [csrfHeaderName] Django's CSRF_HEADER_NAME as a header is spelled.
 * @property {RequestCredentials} [credentials] "include" sends cookies to another origin.
 * @property {number} [timeout] Milliseconds a request may take.
 * @property {(usersig: UserSig) => void} [onRenewed] Given: a timer renews ahead of expiry, and calls it.
 *   Absent: the first `get()` near expiry renews, and a page nobody uses asks for nothing.
 * @property {(error: unknown) => void} [onError] The timer's renewal failed, or `onRenewed` threw. It is not
 *   repeated: the next `get()` does.
 * @property {typeof fetch} [fetch]
 * @property {() => number} [now] Milliseconds on a monotonic clock.
 * @property {() => number} [random] 0 to 1, for the jitter.
 */

/** The UserSig expired, as the SDK (6206) and Tencent's server (70001) say it. Nothing else is cured by a new one. */
const EXPIRED_CODES = new Set([6206, 70001]);

/** What the Chat SDK's KICKED_OUT event carries in `data.type` for the same thing. */
const EXPIRED_EVENT_TYPE = "userSigExpired";

/** The shortest `expire` the server grants, in milliseconds: a younger token cannot have expired. */
const SHORTEST_LIFE = 60_000;

/** How long a failed renewal ahead of expiry rests where the answer names no time, in milliseconds. */
const RENEWAL_REST = 30_000;

/** A longer delay overflows setTimeout's 32 bits and fires at once; tokens may live for years. */
const LONGEST_DELAY = 2 ** 31 - 1;

/** No token, or one that may not be used: the server's answer, or the reason why there is none. */
export class UserSigRequestError extends Error {
  /**
   * @param {object} answer
   * @param {number} [answer.status] HTTP status; 0: no answer.
   * @param {string} answer.code The server's slug ("throttled", "user_inactive", ...), or ours: "network_error",
   *   "timeout", "cleared", "unexpected_answer" (not this app's JSON: a proxy's page, a login redirect),
   *   "renewed_usersig_expired".
   * @param {string} answer.detail A sentence for people.
   * @param {number | null} [answer.retryAfter] Seconds to wait, where the server named them.
   * @param {unknown} [answer.cause]
   */
  constructor({ status = 0, code, detail, retryAfter = null, cause }) {
    super(`${detail} (${code})`, cause === undefined ? undefined : { cause });
    this.name = "UserSigRequestError";
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}

/**
 * Whether Tencent says that the UserSig expired: an error of an SDK, its bare code, or Chat's KICKED_OUT event.
 *
 * @param {any} report
 * @returns {boolean}
 */
export function isUserSigExpired(report) {
  return (
    EXPIRED_CODES.has(report) ||
    EXPIRED_CODES.has(report?.code) ||
    EXPIRED_CODES.has(report?.errorCode) ||
    report?.data?.type === EXPIRED_EVENT_TYPE
  );
}

export class UserSigClient {
  /** @type {Required<Omit<UserSigClientOptions, "expire" | "headers" | "onRenewed">> & UserSigClientOptions} */
  #options;
  /** @type {UserSig | null} */
  #usersig = null;
  /** @type {Promise<UserSig> | null} */
  #inFlight = null;
  /** @type {UserSigRequestError | null} The refusal that named a time to wait. */
  #refusal = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #controller = new AbortController();
  // Instants of the monotonic clock. A phone's wall clock is wrong by hours often enough, so nothing here
  // reads it. On some platforms this clock stands still while the device sleeps: a token may then be older
  // than it looks, Tencent answers 6206 or 70001, and `login()` and `renew()` replace it.
  #receivedAt = 0;
  #renewAt = 0;
  #retryAt = 0;
  #replacesExpired = false;

  /** @param {UserSigClientOptions} options */
  constructor(options) {
    this.#options = {
      csrfCookieName: "csrftoken",
      csrfHeaderName: "X-CSRFToken",
      credentials: "same-origin",
      timeout: 15_000,
      onError: () => {},
      // Wrapped: a browser's fetch refuses to be called as a method of another object.
      fetch: (...request) => fetch(...request),
      now: () => performance.now(),
      random: Math.random,
      ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
    };
  }

  /**
   * A UserSig that is valid now: the one in memory, or a new one when that nears its end.
   *
   * @returns {Promise<UserSig>}
   * @throws {UserSigRequestError}
   */
  async get() {
    const usersig = this.#usersig;
    // The second: after a renewal that failed, the next one may be due later than the end.
    if (usersig && this.#options.now() < this.#renewAt && this.#age() < usersig.expire * 1000) return usersig;
    try {
      return await this.#fetchShared();
    } catch (error) {
      const { status } = /** @type {UserSigRequestError} */ (error);
      const refused = status >= 400 && status < 500 && status !== 429;
      // Compared with the field: clear() may have dropped it meanwhile.
      if (refused || usersig === null || usersig !== this.#usersig || this.#age() >= usersig.expire * 1000) {
        throw error;
      }
      this.#renewAt = Math.max(this.#retryAt, this.#options.now() + RENEWAL_REST);
      return usersig;
    }
  }

  /**
   * Replaces a UserSig that Tencent calls expired: for `onUserSigExpired`, and for Chat's KICKED_OUT while logged
   * in (it comes with a failed login as well, which `login()` sees to). However many SDKs report the same one,
   * one request is made. Chat wants `logout()` before it takes the new one: a login on top of the old session
   * is called a repeated one, and sends nothing.
   *
   * @param {UserSig | null} [expired] The one that was refused; absent: the one in memory.
   * @returns {Promise<UserSig>}
   * @throws {UserSigRequestError} "renewed_usersig_expired" when the replacement itself is called expired at
   *   once: the server's clock is wrong, and another round would end the same way.
   */
  async renew(expired) {
    expired ??= this.#usersig;
    if (this.#inFlight) return this.#inFlight;
    // By text: a framework's reactive proxy, or a copy, is another object.
    if (this.#usersig && this.#usersig.usersig !== expired?.usersig) return this.get();
    if (this.#usersig && this.#replacesExpired && this.#age() < SHORTEST_LIFE) {
      throw new UserSigRequestError({
        code: "renewed_usersig_expired",
        detail: "Tencent calls a UserSig expired that was issued a moment ago: the server's clock is wrong.",
      });
    }
    const usersig = await this.#fetchShared();
    this.#replacesExpired = true;
    return usersig;
  }

  /**
   * Logs in to an SDK. When that says the UserSig expired, it is tried once more with a new one; every other
   * failure, and the second one, is the caller's.
   *
   * @template T
   * @param {(usersig: UserSig) => T | Promise<T>} action
   * @returns {Promise<T>}
   * @throws {UserSigRequestError} or whatever `action` throws
   */
  async login(action) {
    // Who signs out in between must not be logged in again, and never with the next user's UserSig.
    const { signal } = this.#controller;
    const usersig = await this.get();
    signal.throwIfAborted();
    try {
      return await action(usersig);
    } catch (error) {
      if (!isUserSigExpired(error)) throw error;
    }
    signal.throwIfAborted();
    const renewed = await this.renew(usersig);
    signal.throwIfAborted();
    return action(renewed);
  }

  /**
   * A PrivateMapKey for one room. Not kept: what a user may do in a room is asked anew at each entrance.
   *
   * @param {Room} room
   * @returns {Promise<PrivateMapKey>}
   * @throws {UserSigRequestError}
   */
  getPrivateMapKey(room) {
    return this.#post("private-map-key/", room, "private_map_key");
  }

  /** Forgets everything and rejects what is under way with "cleared". To be called when the user signs out. */
  clear() {
    clearTimeout(this.#timer);
    this.#controller.abort(
      new UserSigRequestError({ code: "cleared", detail: "The user signed out before the answer came." }),
    );
    this.#controller = new AbortController();
    this.#usersig = this.#inFlight = this.#refusal = null;
    this.#renewAt = this.#retryAt = 0;
    this.#replacesExpired = false;
  }

  /** @returns {Promise<UserSig>} */
  #fetchShared() {
    if (this.#inFlight) return this.#inFlight;
    const request = this.#fetch().finally(() => {
      if (this.#inFlight === request) this.#inFlight = null;
    });
    this.#inFlight = request;
    return request;
  }

  /** @returns {Promise<UserSig>} */
  async #fetch() {
    const { expire, now, random } = this.#options;
    const wait = this.#retryAt - now();
    if (this.#refusal && wait > 0) {
      const { status, code, detail } = this.#refusal;
      throw new UserSigRequestError({ status, code, detail, retryAfter: Math.ceil(wait / 1000) });
    }
    this.#refusal = null;
    const { signal } = this.#controller;
    try {
      const usersig = await this.#post("", expire === undefined ? {} : { expire }, "usersig");
      signal.throwIfAborted();
      this.#usersig = Object.freeze(usersig);
      this.#replacesExpired = false;
      this.#receivedAt = now();
      // 80 to 90 % of the life: clients that were let in together do not come back together.
      this.#renewAt = this.#receivedAt + usersig.expire * (800 + 100 * random());
      this.#schedule();
      return usersig;
    } catch (error) {
      if (!signal.aborted && error instanceof UserSigRequestError && error.retryAfter !== null) {
        this.#refusal = error;
        this.#retryAt = now() + error.retryAfter * 1000;
      }
      throw error;
    }
  }

  #schedule() {
    const { now, onRenewed, onError } = this.#options;
    if (!onRenewed) return;
    clearTimeout(this.#timer);
    const delay = Math.min(this.#renewAt - now(), LONGEST_DELAY);
    this.#timer = setTimeout(async () => {
      if (now() < this.#renewAt) return this.#schedule();
      try {
        await onRenewed(await this.#fetchShared());
      } catch (error) {
        if (error?.code !== "cleared") onError(error);
      }
    }, delay);
  }

  #age() {
    return this.#options.now() - this.#receivedAt;
  }

  /**
   * @param {string} path
   * @param {object} body
   * @param {string} member What an answer must hold.
   * @returns {Promise<any>}
   */
  async #post(path, body, member) {
    const { url, fetch, timeout, credentials } = this.#options;
    const { signal: cleared } = this.#controller;
    const target = new URL(path, new URL(url, globalThis.location?.href));
    const headers = await this.#headers(target);
    cleared.throwIfAborted();
    const request = new AbortController();
    const abort = () => request.abort(cleared.reason);
    const timer = setTimeout(() => {
      request.abort(new UserSigRequestError({ code: "timeout", detail: "The server did not answer in time." }));
    }, timeout);
    cleared.addEventListener("abort", abort);
    try {
      const response = await fetch(target, {
        method: "POST",
        credentials,
        cache: "no-store",
        redirect: "manual", // to a login page: an answer that is not ours
        headers,
        body: JSON.stringify(body),
        signal: request.signal,
      });
      return await read(response, member);
    } catch (error) {
      if (request.signal.aborted) throw request.signal.reason;
      if (error instanceof UserSigRequestError) throw error;
      throw new UserSigRequestError({
        code: "network_error",
        detail: "The server could not be reached.",
        cause: error,
      });
    } finally {
      clearTimeout(timer);
      cleared.removeEventListener("abort", abort);
    }
  }

  /**
   * @param {URL} target
   * @returns {Promise<Headers>}
   */
  async #headers(target) {
    const { headers, csrfCookieName, csrfHeaderName } = this.#options;
    const result = new Headers(await headers?.());
    result.set("Content-Type", "application/json");
    const token = cookie(csrfCookieName);
    // Another origin has no use for this origin's token, and no right to it.
    if (token && target.origin === globalThis.location?.origin && !result.has(csrfHeaderName)) {
      result.set(csrfHeaderName, token);
    }
    return result;
  }
}

/**
 * @param {string} name
 * @returns {string | undefined}
 */
function cookie(name) {
  const pairs = globalThis.document?.cookie.split("; ") ?? [];
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
}

/**
 * @param {Response} response
 * @param {string} member
 * @returns {Promise<any>}
 */
async function read(response, member) {
  const { ok, status, headers } = response;
  const answer = await response.json().catch((/** @type {unknown} */ error) => {
    // Cut off or aborted while it came in; the parser's own message would quote the body.
    if (!(error instanceof SyntaxError)) throw error;
  });
  if (ok && typeof answer?.[member] === "string" && answer.expire > 0) return answer;
  const known = !ok && typeof answer?.code === "string";
  throw new UserSigRequestError({
    status,
    code: known ? answer.code : "unexpected_answer",
    detail: known
      ? String(answer.detail)
      : "The answer is not usersig_django's: is the URL right, is somebody signed in?",
    retryAfter: retryAfter(headers),
  });
}

/**
 * Seconds, or a date: compared with the answer's own Date, since the clock here proves nothing.
 *
 * @param {Headers} headers
 * @returns {number | null}
 */
function retryAfter(headers) {
  const value = headers.get("Retry-After");
  if (value === null) return null;
  const seconds = /^\d+$/.test(value)
    ? Number(value)
    : (Date.parse(value) - Date.parse(headers.get("Date") ?? "")) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}
