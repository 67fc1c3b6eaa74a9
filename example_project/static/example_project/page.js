import { UserSigClient, UserSigRequestError, isUserSigExpired } from "../usersig_django/client.js";
import { decode } from "./decode.js";

const PRIVILEGES = [
  "create the room",
  "enter the room",
  "send audio",
  "receive audio",
  "send video",
  "receive video",
  "send the substream",
  "receive the substream",
];

const { usersigUrl, sdkUrl } = document.querySelector("main").dataset;
const client = new UserSigClient({ url: usersigUrl });

/** A form whose answer is a sentence in its <output>, which screen readers announce. */
function onSubmit(id, action) {
  const form = document.getElementById(id);
  const output = form.querySelector("output");
  const button = form.querySelector("button");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    // Not `disabled`: that would take the focus away from whoever uses the keyboard.
    if (button.getAttribute("aria-disabled")) return;
    button.setAttribute("aria-disabled", "true");
    output.className = "";
    output.value = "One moment …";
    try {
      output.value = await action(form);
      output.className = "done";
    } catch (error) {
      output.value = explain(error);
      output.className = "failed";
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });
  return form;
}

function explain(error) {
  if (error instanceof UserSigRequestError) {
    const wait = error.retryAfter === null ? "" : ` Try again in ${error.retryAfter} s.`;
    return `${error.message}${wait}`;
  }
  if (typeof error.code === "number") {
    return `Chat refused with code ${error.code}. “manage.py verify_usersig” says what to look at.`;
  }
  return String(error);
}

function show(id, values) {
  const box = document.getElementById(id);
  for (const element of box.querySelectorAll("[data-field]")) {
    element.textContent = values[element.dataset.field];
  }
  box.hidden = false;
}

function expires({ expire, expires_at }) {
  const [unit, seconds] = [["day", 86400], ["hour", 3600], ["minute", 60]].find(
    ([, size]) => expire >= 2 * size || size === 60,
  );
  const relative = new Intl.RelativeTimeFormat("en").format(Math.round(expire / seconds), unit);
  return `${relative}, on ${new Date(expires_at).toLocaleString("en-GB", { dateStyle: "long", timeStyle: "medium" })}`;
}

let shown;

async function showUserSig(usersig) {
  if (usersig === shown) return false;
  const contents = await decode(usersig.usersig).then(
    (document) => JSON.stringify(document, null, 2),
    () => "This text is not a UserSig.",
  );
  show("usersig", { ...usersig, expires: expires(usersig), contents });
  shown = usersig;
  return true;
}

onSubmit("usersig-form", async () =>
  (await showUserSig(await client.get())) ? "Issued." : "This one is good for a while yet: no request was made.",
);

if (sdkUrl) {
  let chat;
  let loggedIn = false;
  let kickedOut = false;

  const connect = async (sdkappid) => {
    const { default: TencentCloudChat } = await import(sdkUrl);
    chat = TencentCloudChat.create({ SDKAppID: sdkappid });
    chat.setLogLevel(1);
    chat.on(TencentCloudChat.EVENT.KICKED_OUT, (event) => {
      // The SDK says this of a login that fails, too; client.login() is at work on that one already.
      kickedOut = loggedIn && isUserSigExpired(event);
      loggedIn = false;
      if (kickedOut) form.requestSubmit();
    });
  };

  const form = onSubmit("chat-form", async () => {
    if (kickedOut) {
      await client.renew(shown);
      // Else login() would call itself a repeated one, and send nothing. The server refuses the expired
      // session its farewell; the SDK forgets it all the same.
      await chat.logout().catch(() => {});
      kickedOut = false;
    }
    return client.login(async (usersig) => {
      await showUserSig(usersig);
      if (!chat) await connect(usersig.sdkappid);
      await chat.login({ userID: usersig.userid, userSig: usersig.usersig });
      loggedIn = true;
      return `Logged in to Chat as ${usersig.userid}.`;
    });
  });
}

const roomForm = onSubmit("room-form", async (form) => {
  const { kind, room } = Object.fromEntries(new FormData(form));
  document.getElementById("private-map-key").hidden = true;
  const key = await client.getPrivateMapKey(kind === "room_id" ? { room_id: Number(room) } : { str_room_id: room });
  const names = PRIVILEGES.filter((_, bit) => key.privileges & (1 << bit));
  show("private-map-key", {
    ...key,
    room: key.room_id ?? key.str_room_id,
    privileges: `${key.privileges}: ${names.join(", ")}`,
    expires: expires(key),
  });
  return "Issued.";
});

roomForm.addEventListener("change", ({ target }) => {
  if (target.name !== "kind") return;
  const number = target.value === "room_id";
  roomForm.elements.room.inputMode = number ? "numeric" : "text";
  roomForm.elements.room.pattern = number ? "[0-9]{1,10}" : ".*";
  roomForm.elements.room.value = "";
});

document.getElementById("sign-out").addEventListener("submit", () => client.clear());

// "Back" after signing out may bring this page out of memory, with the token on it.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});
