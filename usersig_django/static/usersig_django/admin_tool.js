/* The UserSig tool without this script: the room is always shown, and the token is copied by hand. */
"use strict";

for (const button of document.querySelectorAll("[data-usersig-copy]")) {
    const token = document.getElementById(button.dataset.usersigCopy);
    const label = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
        token.select();
        try {
            await navigator.clipboard.writeText(token.value);
        } catch {
            // Without HTTPS a page has no clipboard; what is selected can still be copied.
            if (!document.execCommand("copy")) {
                return;
            }
        }
        button.textContent = button.dataset.usersigCopied;
        setTimeout(() => { button.textContent = label; }, 2000);
    });
}

const room = document.querySelector(".usersig-room");
const kinds = document.querySelectorAll("[name=generate-kind]");
const showRoom = () => {
    room.hidden = document.querySelector("[name=generate-kind]:checked")?.value !== "private_map_key";
};
for (const kind of kinds) {
    kind.addEventListener("change", showRoom);
}
showRoom();
