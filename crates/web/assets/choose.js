// The Export Manager: the selection is saved with every change.
import { rowsOf } from "/assets/rows.js";

const form = document.getElementById("choice");
const standing = document.getElementById("standing");
const number = new Intl.NumberFormat("en");
let waiting = Promise.resolve();

function tell({ chosen, hidden, matching }) {
  const words = document.createElement("strong");
  words.textContent = `${chosen} selected`;
  const rest = ` · ${matching} conversation${matching === "1" ? "" : "s"}` +
    (hidden > 0 ? ` · ${number.format(hidden)} selected are outside this filter` : "");
  standing.replaceChildren(words, rest);
}

// Requests go one after another, so that the last mark is the one that counts.
function send(fields) {
  const body = new URLSearchParams();
  for (const { name, value } of form.querySelectorAll("input[name=csrf], input[data-filter]")) {
    body.append(name, value);
  }
  for (const [name, value] of fields) body.append(name, value);
  waiting = waiting.then(async () => {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body, headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail ?? answer.statusText);
    tell(await answer.json());
  }).catch((error) => { standing.textContent = `Your selection could not be saved: ${error.message}. Reload the page.`; });
  return waiting;
}

const rows = rowsOf(form, (changed) => send([
  ["action", "rows"],
  ...changed.map((box) => ["shown", box.value]),
  ...changed.filter((box) => box.checked).map((box) => ["id", box.value]),
]));
form.addEventListener("submit", (event) => {
  const action = event.submitter?.value;
  if (action !== "all" && action !== "none") return;
  event.preventDefault();
  rows.markAll(action === "all");
  send([["action", action]]);
});

// Enter in the number of a sample draws it, and in the field of tags adds them.
form.elements.sample.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  form.querySelector("button[value=sample]").click();
});
form.elements.tag_names.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  form.querySelector("button[value=tag]").click();
});
