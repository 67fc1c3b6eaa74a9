import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, beforeEach, describe, mock, test } from "node:test";

import { UserSigClient, UserSigRequestError, isUserSigExpired } from "../../usersig_django/static/usersig_django/client.js";

/** A real HTTP server: each request is answered by the next of `answers`, or by a fresh UserSig. */
let server, url, requests, answers, issued;

before(async () => {
  server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    requests.push({
      method: request.method,
      path: request.url,
      headers: request.headers,
      body: JSON.parse(Buffer.concat(chunks)),
    });
    const answer = answers.shift() ?? usersig();
    if (typeof answer === "function") return answer(response);
    const { status = 200, headers = {}, body } = answer;
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${server.address().port}/api/usersig/`;
});

after(() => {
  server.closeAllConnections();
  server.close();
});

beforeEach(() => {
  requests = [];
  answers = [];
  issued = 0;
});

function usersig(members) {
  issued += 1;
  const body = { sdkappid: 1400000000, userid: "42", usersig: `eJ-number-${issued}`, expire: 1000, ...members };
  // A server a century off: the client must not care.
  return { body: { ...body, issued_at: "1926-01-01T00:00:00Z", expires_at: "1926-01-01T00:16:40Z" } };
}

const refusal = (status, code, headers) => ({ status, headers, body: { code, detail: "A sentence." } });
const throttled = (seconds) => refusal(429, "throttled", { "Retry-After": String(seconds) });
const fault = (code) => Object.assign(new Error("Tencent's"), { code });

/** A client on a clock that the test moves; half of the jitter: it renews at 85 % of a life. */
function clientAt(clock, options) {
  return new UserSigClient({ url, now: () => clock.now, random: () => 0.5, ...options });
}

describe("request", () => {
  test("posts an empty JSON object", async () => {
    const result = await new UserSigClient({ url }).get();
    assert.equal(result.usersig, "eJ-number-1");
    const [{ method, path, headers, body }] = requests;
    assert.deepEqual([method, path, body], ["POST", "/api/usersig/", {}]);
    assert.equal(headers["content-type"], "application/json");
    assert.equal(headers["x-csrftoken"], undefined);
  });

  test("asks for the given expire", async () => {
    await new UserSigClient({ url, expire: 3600 }).get();
    assert.deepEqual(requests[0].body, { expire: 3600 });
  });

  test("calls the headers callback before each request", async () => {
    let calls = 0;
    const headers = async () => ({ Authorization: `Token ${(calls += 1)}` });
    const client = new UserSigClient({ url, headers });
    await client.get();
    await client.renew();
    assert.deepEqual(requests.map((request) => request.headers.authorization), ["Token 1", "Token 2"]);
  });

  test("an error of the headers callback is the caller's own", async () => {
    const lost = new Error("no refresh token");
    const client = new UserSigClient({ url, headers: () => Promise.reject(lost) });
    await assert.rejects(client.get(), lost);
    assert.equal(requests.length, 0);
  });

  test("fetches with the browser's credentials, without its HTTP cache, following no redirect", async () => {
    const fake = mock.fn(async () => new Response(JSON.stringify(usersig().body)));
    await new UserSigClient({ url, fetch: fake, credentials: "include" }).get();
    const { credentials, cache, redirect } = fake.mock.calls[0].arguments[1];
    assert.deepEqual([credentials, cache, redirect], ["include", "no-store", "manual"]);
  });
});

describe("CSRF token", () => {
  beforeEach(() => {
    globalThis.location = new URL("/page/", url);
    globalThis.document = { cookie: "xcsrftoken=wrong; csrftoken=right; shopcsrf=other" };
  });
  after(() => {
    delete globalThis.location;
    delete globalThis.document;
  });

  test("is read from Django's cookie", async () => {
    await new UserSigClient({ url: "/api/usersig/" }).get();
    assert.equal(requests[0].headers["x-csrftoken"], "right");
  });

  test("follows CSRF_COOKIE_NAME and CSRF_HEADER_NAME", async () => {
    await new UserSigClient({ url, csrfCookieName: "shopcsrf", csrfHeaderName: "X-Shop" }).get();
    assert.equal(requests[0].headers["x-shop"], "other");
    assert.equal(requests[0].headers["x-csrftoken"], undefined);
  });

  test("of the headers callback wins", async () => {
    await new UserSigClient({ url, headers: () => ({ "X-CSRFToken": "from the page" }) }).get();
    assert.equal(requests[0].headers["x-csrftoken"], "from the page");
  });

  test("is not told to another origin", async () => {
    globalThis.location = new URL("http://elsewhere.example/");
    await new UserSigClient({ url }).get();
    assert.equal(requests[0].headers["x-csrftoken"], undefined);
  });
});

describe("cache", () => {
  test("concurrent calls share one request and one frozen answer", async () => {
    const client = new UserSigClient({ url });
    const results = await Promise.all([client.get(), client.get(), client.renew()]);
    assert.equal(requests.length, 1);
    assert.equal(new Set(results).size, 1);
    assert.ok(Object.isFrozen(results[0]));
  });

  test("concurrent calls share one failure, and the next call asks again", async () => {
    answers = [refusal(503, "signing_unavailable")];
    const client = new UserSigClient({ url });
    const results = await Promise.allSettled([client.get(), client.get()]);
    assert.deepEqual(results.map((result) => result.reason?.code), ["signing_unavailable", "signing_unavailable"]);
    assert.equal((await client.get()).usersig, "eJ-number-1");
    assert.equal(requests.length, 2);
  });

  test("lasts until the renewal point, whatever the clocks on the wall say", async () => {
    const clock = { now: 5000 };
    const client = clientAt(clock);
    await client.get();
    clock.now += 849_999;
    assert.equal((await client.get()).usersig, "eJ-number-1");
    clock.now += 1;
    assert.equal((await client.get()).usersig, "eJ-number-2");
    clock.now += 849_999;
    assert.equal((await client.get()).usersig, "eJ-number-2");
  });

  test("the renewal point is spread over 80 to 90 % of the life", async () => {
    for (const [random, before] of [[0, 800_000], [0.999, 899_900]]) {
      const clock = { now: 0 };
      const client = clientAt(clock, { random: () => random });
      const first = await client.get();
      clock.now = before - 1;
      assert.equal(await client.get(), first);
      clock.now = before;
      assert.notEqual(await client.get(), first);
    }
  });

  test("a failed early renewal leaves the valid one in use, and rests", async () => {
    for (const failure of [refusal(503, "signing_unavailable"), (response) => response.destroy()]) {
      const clock = { now: 0 };
      const client = clientAt(clock);
      const first = await client.get();
      clock.now = 850_000;
      requests = [];
      answers = [failure];
      assert.equal(await client.get(), first);
      clock.now += 29_999;
      assert.equal(await client.get(), first);
      assert.equal(requests.length, 1);
      clock.now += 1;
      assert.notEqual(await client.get(), first);
    }
  });

  test("a rest that outlasts the UserSig does not keep it alive", async () => {
    const clock = { now: 0 };
    const client = clientAt(clock);
    const first = await client.get();
    clock.now = 900_000;
    answers = [refusal(503, "signing_unavailable", { "Retry-After": "3600" })];
    assert.equal(await client.get(), first);
    clock.now = 1_000_000;
    await assert.rejects(client.get(), { code: "signing_unavailable" });
  });

  test("a failed renewal after the end is an error", async () => {
    const clock = { now: 0 };
    const client = clientAt(clock);
    await client.get();
    clock.now = 1_000_000;
    answers = [refusal(503, "signing_unavailable")];
    await assert.rejects(client.get(), { code: "signing_unavailable" });
  });

  test("a refusal is told although the old one is still valid", async () => {
    const clock = { now: 0 };
    const client = clientAt(clock);
    await client.get();
    clock.now = 850_000;
    answers = [refusal(403, "user_inactive")];
    await assert.rejects(client.get(), { status: 403, code: "user_inactive" });
  });
});

describe("errors", () => {
  const failure = async (answer, options) => {
    answers = [answer];
    const error = await new UserSigClient({ url, ...options }).get().catch((reason) => reason);
    assert.ok(error instanceof UserSigRequestError);
    assert.ok(error instanceof Error);
    return error;
  };

  test("carry the server's status, code and detail", async () => {
    const error = await failure(refusal(403, "user_inactive"));
    assert.deepEqual(
      { ...error, message: error.message },
      {
        name: "UserSigRequestError",
        status: 403,
        code: "user_inactive",
        detail: "A sentence.",
        retryAfter: null,
        message: "A sentence. (user_inactive)",
      },
    );
  });

  test("carry Retry-After in seconds", async () => {
    assert.equal((await failure(throttled(17))).retryAfter, 17);
  });

  test("read a Retry-After date against the answer's own Date", async () => {
    const headers = { "Retry-After": "Fri, 20 Nov 2026 20:00:30 GMT", Date: "Fri, 20 Nov 2026 20:00:00 GMT" };
    assert.equal((await failure(refusal(503, "signing_unavailable", headers))).retryAfter, 30);
  });

  test("a Retry-After that says nothing is null", async () => {
    assert.equal((await failure(refusal(503, "x", { "Retry-After": "soon" }))).retryAfter, null);
  });

  test("a proxy's page, a login page, a redirect, another API: unexpected_answer, quoting nothing", async () => {
    for (const [answer, status] of [
      [{ status: 502, body: "<h1>Bad gateway eJsecret</h1>" }, 502],
      [{ status: 200, body: "<h1>Please log in eJsecret</h1>" }, 200],
      [{ status: 200, body: "" }, 200],
      [{ status: 200, body: "null" }, 200],
      [{ status: 200, body: { usersig: 7, expire: 60 } }, 200],
      [{ status: 200, body: { usersig: "eJsecret" } }, 200],
      [{ status: 404, body: { detail: "Not found." } }, 404],
      [{ status: 302, headers: { Location: "/accounts/login/" }, body: "" }, 302],
    ]) {
      const error = await failure(answer);
      assert.deepEqual([error.status, error.code], [status, "unexpected_answer"]);
      assert.doesNotMatch(JSON.stringify([error.message, error.stack, error.detail]), /eJsecret/);
    }
  });

  test("a connection that breaks before or inside the answer is network_error", async () => {
    const cut = (response) => {
      response.writeHead(200, { "Content-Length": 1000 });
      response.write('{"usersig": "eJ');
      setImmediate(() => response.destroy());
    };
    for (const answer of [(response) => response.destroy(), cut]) {
      const error = await failure(answer);
      assert.deepEqual([error.status, error.code], [0, "network_error"]);
      assert.ok(error.cause instanceof Error);
    }
  });

  test("a server that does not answer is timeout", async () => {
    const error = await failure(() => {}, { timeout: 50 });
    assert.deepEqual([error.status, error.code], [0, "timeout"]);
  });
});

describe("Retry-After", () => {
  test("is waited for: further calls fail at once, without a request", async () => {
    const clock = { now: 0 };
    const client = clientAt(clock);
    answers = [throttled(30)];
    await assert.rejects(client.get(), { status: 429, code: "throttled", retryAfter: 30 });
    clock.now = 20_500;
    await assert.rejects(client.get(), { status: 429, code: "throttled", retryAfter: 10 });
    await assert.rejects(client.renew(), { status: 429, code: "throttled", retryAfter: 10 });
    assert.equal(requests.length, 1);
    clock.now = 30_000;
    assert.equal((await client.get()).usersig, "eJ-number-1");
  });

  test("longer than the rest between early renewals counts", async () => {
    const clock = { now: 0 };
    const client = clientAt(clock);
    const first = await client.get();
    clock.now = 850_000;
    answers = [throttled(100)];
    assert.equal(await client.get(), first);
    clock.now += 99_999;
    assert.equal(await client.get(), first);
    assert.equal(requests.length, 2);
    clock.now += 1;
    assert.notEqual(await client.get(), first);
  });
});

describe("expired UserSig", () => {
  test("is recognised by Tencent's two codes and Chat's event, and by nothing else", () => {
    for (const report of [6206, 70001, fault(6206), fault(70001), { errorCode: 70001 }]) {
      assert.ok(isUserSigExpired(report));
    }
    assert.ok(isUserSigExpired({ name: "kickedOut", data: { type: "userSigExpired" } }));
    const others = [70003, 70009, 70013, 70014, 70050, 70052, -100018].map(fault);
    for (const report of [...others, { data: { type: "multipleDevice" } }, new Error("70001"), null, undefined]) {
      assert.ok(!isUserSigExpired(report));
    }
  });

  test("login hands over the UserSig and returns what the action does", async () => {
    const result = await new UserSigClient({ url }).login(({ userid, usersig }) => [userid, usersig]);
    assert.deepEqual(result, ["42", "eJ-number-1"]);
  });

  for (const code of [6206, 70001]) {
    test(`login renews once on ${code}`, async () => {
      const tried = [];
      const result = await new UserSigClient({ url }).login(async ({ usersig }) => {
        tried.push(usersig);
        if (tried.length === 1) throw fault(code);
        return "in";
      });
      assert.equal(result, "in");
      assert.deepEqual(tried, ["eJ-number-1", "eJ-number-2"]);
    });
  }

  test("login does not try a third time", async () => {
    const action = mock.fn(() => Promise.reject(fault(70001)));
    await assert.rejects(new UserSigClient({ url }).login(action), { code: 70001 });
    assert.equal(action.mock.callCount(), 2);
    assert.equal(requests.length, 2);
  });

  test("login renews on no other code", async () => {
    for (const code of [70003, 70009, 70013, 70014, 70050, 70052]) {
      requests = [];
      const action = mock.fn(() => Promise.reject(fault(code)));
      await assert.rejects(new UserSigClient({ url }).login(action), { code });
      assert.equal(action.mock.callCount(), 1);
      assert.equal(requests.length, 1);
    }
  });

  test("reported by two SDKs is renewed once, although the second is late", async () => {
    const client = new UserSigClient({ url });
    const old = await client.get();
    const renewed = await client.renew(old);
    assert.equal(renewed.usersig, "eJ-number-2");
    assert.equal(await client.renew(old), renewed);
    assert.equal(await client.renew({ ...old }), renewed);
    assert.equal(requests.length, 2);
  });

  test("a replacement that is expired at once ends the renewing", async () => {
    const clock = { now: 0 };
    const client = clientAt(clock);
    await client.get();
    await client.renew();
    for (let round = 0; round < 3; round += 1) {
      await assert.rejects(client.renew(), { status: 0, code: "renewed_usersig_expired" });
    }
    assert.equal(requests.length, 2);
    // After a sleep that stopped the clock the same report is true.
    clock.now += 60_000;
    assert.equal((await client.renew()).usersig, "eJ-number-3");
  });
});

describe("renewal by timer", () => {
  const YEAR = 365 * 86400;
  const settle = () => new Promise((resolve) => setImmediate(resolve));

  function timed(expire, options) {
    const clock = { now: 0 };
    const onRenewed = mock.fn();
    const onError = mock.fn();
    const fake = mock.fn(async () => {
      const { status = 200, body } = answers.shift() ?? usersig({ expire });
      return new Response(JSON.stringify(body), { status });
    });
    const client = clientAt(clock, { fetch: fake, onRenewed, onError, timeout: 2 ** 31 - 1, ...options });
    const pass = async (milliseconds) => {
      clock.now += milliseconds;
      mock.timers.tick(milliseconds);
      await settle();
    };
    return { client, pass, fake, onRenewed, onError };
  }

  beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
  test.afterEach(() => mock.timers.reset());

  test("renews ahead of expiry, again and again, and hands over each", async () => {
    const { client, pass, onRenewed } = timed(1000);
    await client.get();
    await pass(849_999);
    assert.equal(onRenewed.mock.callCount(), 0);
    await pass(1);
    await pass(850_000);
    assert.deepEqual(onRenewed.mock.calls.map((call) => call.arguments[0].usersig), ["eJ-number-2", "eJ-number-3"]);
  });

  test("a life of years does not overflow setTimeout", async () => {
    const { client, pass, fake } = timed(10 * YEAR);
    await client.get();
    await pass(1);
    for (let month = 0; month < 24; month += 1) await pass(2 ** 31 - 1);
    assert.equal(fake.mock.callCount(), 1);
    for (let year = 2; year < 9; year += 1) for (let month = 0; month < 16; month += 1) await pass(2 ** 31 - 1);
    assert.equal(fake.mock.callCount(), 2);
  });

  test("a failure is reported once, and left to the next call", async () => {
    const { client, pass, fake, onRenewed, onError } = timed(1000);
    await client.get();
    answers = [refusal(503, "signing_unavailable")];
    await pass(850_000);
    await pass(850_000);
    assert.equal(onError.mock.calls[0].arguments[0].code, "signing_unavailable");
    assert.deepEqual([fake, onRenewed, onError].map((spy) => spy.mock.callCount()), [2, 0, 1]);
    assert.equal((await client.get()).usersig, "eJ-number-2");
  });

  test("a listener that rejects is reported", async () => {
    const { client, pass, onError } = timed(1000, { onRenewed: async () => { throw fault("listener"); } });
    await client.get();
    await pass(850_000);
    assert.deepEqual(onError.mock.calls.map((call) => call.arguments[0].code), ["listener"]);
  });

  test("does nothing without a listener, and nothing after clear", async () => {
    const idle = timed(1000, { onRenewed: undefined });
    await idle.client.get();
    await idle.pass(900_000);
    assert.equal(idle.fake.mock.callCount(), 1);

    const cleared = timed(1000);
    await cleared.client.get();
    cleared.client.clear();
    await cleared.pass(900_000);
    assert.deepEqual([cleared.fake.mock.callCount(), cleared.onError.mock.callCount()], [1, 0]);
  });
});

describe("clear", () => {
  test("ends a login, which never gets the next user's UserSig", async () => {
    for (const next of [false, true]) {
      const client = new UserSigClient({ url });
      const seen = [];
      let fail;
      const login = client.login((usersig) => {
        seen.push(usersig.usersig);
        return new Promise((resolve, reject) => (fail = reject));
      });
      while (!fail) await new Promise((resolve) => setImmediate(resolve));
      client.clear();
      if (next) await client.get();
      fail(fault(6206));
      await assert.rejects(login, { code: "cleared" });
      assert.equal(seen.length, 1);
    }
  });

  test("forgets the UserSig and the time to wait", async () => {
    const client = new UserSigClient({ url });
    await client.get();
    client.clear();
    assert.equal((await client.get()).usersig, "eJ-number-2");
    answers = [throttled(30)];
    await assert.rejects(client.renew(), { code: "throttled" });
    client.clear();
    assert.equal((await client.get()).usersig, "eJ-number-3");
  });

  test("rejects what is under way, and the next user's answer is not the last one's", async () => {
    const client = new UserSigClient({ url });
    let release;
    answers = [(response) => (release = () => response.end(JSON.stringify(usersig({ userid: "last" }).body)))];
    const pending = client.get();
    while (!release) await new Promise((resolve) => setImmediate(resolve));
    client.clear();
    const next = client.get();
    release();
    await assert.rejects(pending, { status: 0, code: "cleared" });
    assert.equal((await next).userid, "42");
    assert.equal((await client.get()).userid, "42");
  });

  test("stops a request whose headers are still being fetched", async () => {
    let give;
    const client = new UserSigClient({ url, headers: () => new Promise((resolve) => (give = resolve)) });
    const pending = client.get();
    client.clear();
    give({ Authorization: "Token of the last user" });
    await assert.rejects(pending, { code: "cleared" });
    assert.equal(requests.length, 0);
  });
});

describe("PrivateMapKey", () => {
  const key = (room) => ({ body: { ...usersig().body, private_map_key: "eJ-key", privileges: 42, ...room } });

  test("of either kind of room is fetched each time", async () => {
    const client = new UserSigClient({ url, headers: () => ({ Authorization: "Token t" }) });
    for (const room of [{ room_id: 10000 }, { str_room_id: "10000" }, { str_room_id: "10000" }]) {
      answers = [key(room)];
      const result = await client.getPrivateMapKey(room);
      assert.equal(result.private_map_key, "eJ-key");
      const { path, headers, body } = requests.at(-1);
      assert.deepEqual([path, body], ["/api/usersig/private-map-key/", room]);
      assert.equal(headers.authorization, "Token t");
    }
    assert.equal(requests.length, 3);
  });

  test("a refusal is typed, and does not hold up the UserSig", async () => {
    const client = new UserSigClient({ url });
    answers = [throttled(30)];
    await assert.rejects(client.getPrivateMapKey({ room_id: 1 }), { status: 429, retryAfter: 30 });
    assert.equal((await client.get()).usersig, "eJ-number-1");
  });
});

test("a UserSig does not show in the client's own text", async () => {
  const client = new UserSigClient({ url });
  await client.get();
  const { inspect } = await import("node:util");
  assert.doesNotMatch(`${JSON.stringify(client)} ${inspect(client, { showHidden: true, depth: 9 })}`, /eJ-number/);
});
