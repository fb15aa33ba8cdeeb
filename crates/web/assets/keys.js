// Keys of every page: a letter presses what `data-key` names with it, J and K go through the rows of a list, X selects,
// `/` goes to the search and `?` shows the keys. They can be turned off, as some people's software types letters.
const OFF = "retort-keys-off";
const kept = { get: () => { try { return localStorage.getItem(OFF); } catch { return null; } },
  set: (off) => { try { if (off) localStorage.setItem(OFF, "1"); else localStorage.removeItem(OFF); } catch { /* for this page only */ } } };
let off = kept.get() !== null;

function isTyping(at) {
  return at.isContentEditable || at.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=button])");
}

const rows = () => [...document.querySelectorAll("main .list tbody tr")];
const here = () => document.activeElement.closest("main .list tbody tr");

// The row after or before the one with the focus; the first or the last one if none has it.
function step(by) {
  const all = rows();
  if (all.length === 0) return false;
  const at = all.indexOf(here());
  const to = at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by;
  all[to]?.querySelector("td.title a, a")?.focus();
  return true;
}

async function help() {
  let dialog = document.querySelector("dialog.help");
  if (!dialog) {
    const answer = await fetch("/keys");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const keys = page.getElementById("keys");
    if (!keys) { location.assign("/keys"); return; }
    dialog = document.createElement("dialog");
    dialog.className = "help";
    dialog.setAttribute("aria-label", "Keyboard shortcuts");
    const close = document.createElement("button");
    close.textContent = "Close";
    close.addEventListener("click", () => dialog.close());
    dialog.append(keys, close);
    document.body.append(dialog);
    offer(dialog);
  }
  dialog.showModal();
}

// The box that turns the keys off, on the page of the keys and in the dialog.
function offer(place) {
  const box = place.querySelector("[data-keys-on]");
  if (!box) return;
  box.closest("label").hidden = false;
  box.checked = !off;
  box.addEventListener("change", () => { off = !box.checked; kept.set(off); });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const key = event.key.toLowerCase();
  if (off && key !== "?") return;
  const pressed = /^[a-z]$/.test(key) && document.querySelector(`[data-key="${key}"]`);
  if (pressed) pressed.click();
  else if (key === "?") help();
  else if (key === "j" || key === "k") { if (!step(key === "j" ? 1 : -1)) return; }
  else if (key === "x") { const box = here()?.querySelector("input[name=id]:not(:disabled)"); if (!box) return; box.click(); }
  else if (key === "/") { const field = document.querySelector("main input[type=search]"); if (!field) return; field.focus(); field.select(); }
  else return;
  event.preventDefault();
});

for (const link of document.querySelectorAll("a[href='/keys']")) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    help();
  });
}
offer(document);
